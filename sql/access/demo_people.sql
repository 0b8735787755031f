-- The demo's accounts that can be entered with one click.
SELECT a.id AS account_id, a.login, a.name_zh, a.name_en, a.roles, a.scope, a.db_role
FROM access.account AS a
WHERE a.is_demo AND a.password_hash IS NULL AND a.disabled_at IS NULL AND a.login = 'demo_' || a.roles[1]
ORDER BY a.id
