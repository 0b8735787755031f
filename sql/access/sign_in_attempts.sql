-- Attempts that the back-off weighs for one that comes now: all of the last hour at this login, and failures from this
-- network. While a wait runs none is written, so that they stay few; the newest are enough.
SELECT s.at, s.login, host(s.ip) AS ip, s.device, s.succeeded
FROM access.sign_in_attempt AS s
WHERE s.at > %(since)s
    AND (s.login = %(login)s OR (NOT s.succeeded AND s.ip <<= %(network)s::inet))
ORDER BY s.at DESC, s.id DESC
LIMIT 1000
