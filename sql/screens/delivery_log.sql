-- Who was told what, newest first; NULL parameters do not limit.
SELECT d.*
FROM analysis.delivery AS d
WHERE (%(receiver)s::text IS NULL OR d.receiver = %(receiver)s)
    AND (%(state)s::text IS NULL OR d.state = %(state)s)
    AND (%(incident_no)s::bigint IS NULL OR d.incident_no = %(incident_no)s)
    AND (%(before)s::bigint IS NULL OR d.id < %(before)s)
ORDER BY d.id DESC
LIMIT %(most)s;
