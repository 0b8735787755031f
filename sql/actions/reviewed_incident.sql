-- The incident after its review; no row where the caller does not see it, or its review is not `was` any more.
UPDATE watch.incident AS i
SET review = %(review)s, review_reason = %(reason)s, false_cause = %(cause)s
WHERE i.id = %(id)s
    -- A shadow incident was told to nobody: it is no lead.
    AND i.mode = 'alert'
    AND i.state <> 'candidate' AND NOT (i.state = 'closed' AND i.opened_at IS NULL)
    AND (%(was)s::text IS NULL OR i.review = %(was)s::text)
RETURNING i.id, i.incident_no, i.review, i.review_reason, i.false_cause, i.reviewed_by, i.reviewed_at
