-- The account that a login names, with what the sign-in weighs; also a disabled one.
SELECT a.id, a.login, a.name_zh, a.db_role, a.password_hash, a.password_set_at, a.must_change_password, a.disabled_at
FROM access.account AS a
WHERE a.login = %(login)s
