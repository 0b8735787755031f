-- File and digest of one evidence frame.
SELECT e.path, e.sha256 FROM watch.evidence AS e WHERE e.id = %(id)s
