-- A new feed; nothing where its name is taken.
INSERT INTO staging.feed (
    name, kind, source, has_secret, manifest, manifest_name, timezone, into_sample, every, late_after_s, most_rejected, added_at,
    added_by, next_due_at
)
VALUES (
    %(name)s, %(kind)s, %(source)s, %(has_secret)s, %(manifest)s, %(manifest_name)s, %(timezone)s, %(into_sample)s, %(every)s,
    %(late_after_s)s, %(most_rejected)s, %(moment)s, %(by)s, %(next_due_at)s
)
ON CONFLICT (name) DO NOTHING
RETURNING id;
