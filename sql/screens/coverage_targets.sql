-- Targets of a town or of the district (NULL) that were set by a day: by which document, when and by whom.
SELECT
    g.year, g.areas, g.document_no, g.set_on,
    -- An account's database role carries its login.
    regexp_replace(g.set_by, '^geoapp_(.+)_[0-9]+$', '\1') AS set_by
FROM registry.onboarding_target AS g
WHERE g.town_code IS NOT DISTINCT FROM %(town)s AND g.set_on <= %(on)s
ORDER BY g.year DESC, g.set_on DESC, g.id DESC
LIMIT 20
