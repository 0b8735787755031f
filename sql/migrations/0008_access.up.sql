-- Who may: accounts with a database role each, their areas, sessions, tokens, sealed secrets, and the audit.
-- The roles themselves are made by sql/access/roles.sql; rows and rights by sql/access/policies.sql and grants.sql.
CREATE TABLE access.account (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    login text NOT NULL UNIQUE CHECK (login ~ '^[a-z][a-z0-9._-]{1,31}$'),
    name_zh text NOT NULL,
    name_en text NOT NULL DEFAULT '',
    roles text[] NOT NULL CHECK (
        cardinality(roles) > 0
        AND roles <@ ARRAY['committee', 'planner', 'analyst', 'duty_officer', 'inspector', 'enterprise', 'admin']
    ),
    scope text NOT NULL CHECK (scope IN ('district', 'town', 'community', 'site')),
    db_role name NOT NULL UNIQUE,
    password_hash text,
    password_set_at timestamptz,
    must_change_password boolean NOT NULL DEFAULT false,
    oidc_subject text UNIQUE,
    has_sql_login boolean NOT NULL DEFAULT false,
    is_demo boolean NOT NULL DEFAULT false,
    disabled_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT CURRENT_USER,
    CHECK (('enterprise' = ANY (roles)) = (scope = 'site')),
    CHECK (NOT 'enterprise' = ANY (roles) OR cardinality(roles) = 1),
    CHECK (NOT 'admin' = ANY (roles) OR scope = 'district')
);
COMMENT ON TABLE access.account IS '账号: one person or firm, with a database role of its own (db_role) that the web process takes for each request.';
COMMENT ON COLUMN access.account.password_hash IS 'argon2id; NULL = signs in by OIDC only, or not at all.';

CREATE TABLE access.account_area (
    account_id bigint NOT NULL REFERENCES access.account (id),
    area_code text NOT NULL REFERENCES territory.unit (code) DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (account_id, area_code)
);
COMMENT ON TABLE access.account_area IS 'Towns (scope town) or communities (scope community) of an account.';

CREATE TABLE access.account_site (
    account_id bigint NOT NULL REFERENCES access.account (id),
    site_id bigint NOT NULL REFERENCES registry.site (id) ON DELETE CASCADE,
    PRIMARY KEY (account_id, site_id)
);
CREATE INDEX account_site_site_idx ON access.account_site (site_id);
COMMENT ON TABLE access.account_site IS 'Sites of an enterprise''s account (scope site).';

CREATE TABLE access.session (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    token_hash bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
    account_id bigint NOT NULL REFERENCES access.account (id),
    method text NOT NULL CHECK (method IN ('password', 'oidc', 'demo', 'first_start')),
    created_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    idle_until timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    ended_why text,
    ip inet,
    user_agent text
);
CREATE INDEX session_account_idx ON access.session (account_id, last_used_at DESC);
COMMENT ON TABLE access.session IS 'A signed-in browser. Only SHA-256 of its cookie is kept; it ends at idle_until, expires_at or ended_at, whichever comes first.';

CREATE TABLE access.token (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token_hash bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
    account_id bigint NOT NULL REFERENCES access.account (id),
    name text NOT NULL,
    scopes text[] NOT NULL CHECK (cardinality(scopes) > 0 AND scopes <@ ARRAY['read', 'write', 'export', 'metrics']),
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT CURRENT_USER,
    expires_at timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at timestamptz
);
COMMENT ON TABLE access.token IS 'API tokens: SHA-256 of the secret, what it may be used for, and its end.';

CREATE TABLE access.sign_in_attempt (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    login text NOT NULL,
    ip inet,
    device text,
    succeeded boolean NOT NULL
);
CREATE INDEX sign_in_attempt_login_idx ON access.sign_in_attempt (login, at);
CREATE INDEX sign_in_attempt_ip_idx ON access.sign_in_attempt (ip, at);
CREATE INDEX sign_in_attempt_at_idx ON access.sign_in_attempt (at);
COMMENT ON TABLE access.sign_in_attempt IS 'For the back-off. login = what was typed where it could be a login, else ? (people type passwords there).';

CREATE TABLE access.oidc_flow (
    state_hash bytea PRIMARY KEY CHECK (octet_length(state_hash) = 32),
    nonce text NOT NULL,
    code_verifier text NOT NULL,
    next text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX oidc_flow_created_idx ON access.oidc_flow (created_at);
COMMENT ON TABLE access.oidc_flow IS 'Sign-ins under way at the OIDC provider; each row is used once.';

CREATE TABLE access.secret (
    subject_kind text NOT NULL,
    subject_id text NOT NULL,
    field text NOT NULL,
    key_id text NOT NULL,
    sealed bytea NOT NULL,
    set_at timestamptz NOT NULL DEFAULT now(),
    set_by text NOT NULL DEFAULT CURRENT_USER,
    PRIMARY KEY (subject_kind, subject_id, field)
);
COMMENT ON TABLE access.secret IS 'Credentials of cameras and webhooks, sealed with a key that is not in the database (geoapp/access/sealing.py).';

-- The audit. Rows are only ever added.
CREATE TABLE access.audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    db_role name NOT NULL,
    account_id bigint,
    login text,
    action text NOT NULL,
    ok boolean NOT NULL DEFAULT true,
    subject text NOT NULL DEFAULT '',
    subject_id text,
    town_code text,
    before jsonb,
    after jsonb,
    reason text,
    detail jsonb,
    ip inet,
    tx xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX audit_at_idx ON access.audit (at DESC);
CREATE INDEX audit_account_idx ON access.audit (account_id, at DESC);
CREATE INDEX audit_subject_idx ON access.audit (subject, subject_id, at DESC);
CREATE INDEX audit_town_idx ON access.audit (town_code, id DESC);
CREATE INDEX audit_role_idx ON access.audit (db_role, id DESC);
COMMENT ON TABLE access.audit IS '审计: who did, looked at, took out or was refused what, and when. Append-only: a trigger refuses every change, whoever asks.';
COMMENT ON COLUMN access.audit.db_role IS 'The database role that acted (access.caller()); it cannot be chosen by the one who acts.';
COMMENT ON COLUMN access.audit.login IS 'The account''s login; for a refused sign-in, the login that was tried.';
COMMENT ON COLUMN access.audit.before IS 'Columns that changed, as they were; all of them for a deletion.';

CREATE FUNCTION access.keep_audit() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '审计记录不能改也不能删 / access.audit is append-only: % is refused', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_keep_rows BEFORE UPDATE OR DELETE ON access.audit
FOR EACH ROW EXECUTE FUNCTION access.keep_audit();
CREATE TRIGGER audit_keep_all BEFORE TRUNCATE ON access.audit
FOR EACH STATEMENT EXECUTE FUNCTION access.keep_audit();
-- Also where triggers are switched off (session_replication_role = replica).
ALTER TABLE access.audit ENABLE ALWAYS TRIGGER audit_keep_rows;
ALTER TABLE access.audit ENABLE ALWAYS TRIGGER audit_keep_all;

-- Who asks, also inside a SECURITY DEFINER function, where current_user is the function's owner: the role that was set,
-- which only members can set, else the one who connected. No client can write either of them. An account that connects
-- itself (a SQL user) stays itself: taking one of its groups' roles must not make its deeds nobody's.
CREATE FUNCTION access.caller() RETURNS name
LANGUAGE sql STABLE PARALLEL RESTRICTED AS $$
    SELECT CASE
        WHEN current_setting('role') = 'none' OR session_user ~ '^geoapp_[a-z0-9._-]+_[0-9a-f]{6}$' THEN session_user
        ELSE current_setting('role')::name
    END
$$;
COMMENT ON FUNCTION access.caller IS '当前调用者的数据库角色; the database role of whoever asks, also inside SECURITY DEFINER functions.';

-- What the caller's account and area are. These views run as their owner, so that policies may ask them; each gives
-- only rows of the caller. A disabled account has none.
CREATE VIEW access.my_account AS
SELECT a.id, a.login, a.name_zh, a.name_en, a.roles, a.scope, a.db_role, a.is_demo
FROM access.account AS a
WHERE a.db_role = access.caller() AND a.disabled_at IS NULL;
COMMENT ON VIEW access.my_account IS '本人账号; the account of the caller.';

CREATE VIEW access.my_area AS
SELECT r.area_code
FROM access.account AS a JOIN access.account_area AS r ON r.account_id = a.id
WHERE a.db_role = access.caller() AND a.disabled_at IS NULL;
COMMENT ON VIEW access.my_area IS '本人管辖的乡镇或社区代码; codes of the towns or communities of the caller.';

CREATE VIEW access.my_site AS
SELECT r.site_id
FROM access.account AS a JOIN access.account_site AS r ON r.account_id = a.id
WHERE a.db_role = access.caller() AND a.disabled_at IS NULL;
COMMENT ON VIEW access.my_site IS '企业账号的场所; sites of an enterprise''s account.';

-- Units that the caller may read: the own area with all below it (is_whole), and what lies above it by name.
CREATE VIEW access.my_unit AS
WITH RECURSIVE mine AS (
    SELECT a.id, a.scope FROM access.account AS a WHERE a.db_role = access.caller() AND a.disabled_at IS NULL
),
-- Where the area begins: the whole district, the named units, or the units in which own sites stand.
own AS (
    SELECT u.code, u.parent_code, true AS is_whole
    FROM mine AS m JOIN territory.unit AS u ON m.scope = 'district'
    UNION
    SELECT u.code, u.parent_code, true
    FROM mine AS m JOIN access.account_area AS r ON r.account_id = m.id JOIN territory.unit AS u ON u.code = r.area_code
    UNION
    SELECT u.code, u.parent_code, false
    FROM mine AS m
    JOIN access.account_site AS r ON r.account_id = m.id
    JOIN registry.site AS s ON s.id = r.site_id
    JOIN territory.unit AS u ON u.code IN (s.town_code, left(s.cell_code, 12))
    UNION
    -- Near a border: the other town that answers for a site in one of the own cells.
    SELECT u.code, u.parent_code, false
    FROM mine AS m
    JOIN access.account_area AS r ON r.account_id = m.id
    JOIN registry.site AS s ON left(s.cell_code, 9) || '000' = left(r.area_code, 9) || '000'
        AND s.town_code IS DISTINCT FROM left(s.cell_code, 9) || '000'
    JOIN territory.unit AS u ON u.code = s.town_code
    WHERE r.area_code IN (left(s.cell_code, 9) || '000', left(s.cell_code, 12))
),
below AS (
    SELECT o.code, o.is_whole FROM own AS o
    UNION
    SELECT u.code, b.is_whole FROM below AS b JOIN territory.unit AS u ON u.parent_code = b.code AND b.is_whole
),
above AS (
    SELECT o.parent_code AS code FROM own AS o
    UNION
    SELECT u.parent_code FROM above AS a JOIN territory.unit AS u ON u.code = a.code
)
SELECT b.code, bool_or(b.is_whole) AS is_whole
FROM (SELECT code, is_whole FROM below UNION ALL SELECT code, false FROM above WHERE code IS NOT NULL) AS b
GROUP BY b.code;
COMMENT ON VIEW access.my_unit IS '本人可见的行政单元，is_whole = 完整在管辖内; units that the caller may read; is_whole = wholly inside the own area.';

-- One record in the caller's name, as it is given: for functions of this schema only.
CREATE FUNCTION access.write_record(
    action text, subject text, subject_id text, town_code text, reason text, detail jsonb, ok boolean, ip inet, login text
) RETURNS bigint
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO access.audit (db_role, account_id, login, action, ok, subject, subject_id, town_code, reason, detail, ip)
    SELECT access.caller(), a.id, coalesce(a.login, $9), $1, $7, $2, $3, $4, $5, $6, $8
    FROM (SELECT 1) AS one LEFT JOIN access.account AS a ON a.db_role = access.caller()
    RETURNING id
$$;

-- Whether an account has had written as many records in the last minute as one may. Its newest ones are read by their index.
CREATE FUNCTION access.writes_too_much(who name) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT count(*) = 300 AND min(newest.at) > clock_timestamp() - interval '1 minute' AND NOT bool_or(newest.is_change)
    FROM (
        SELECT a.at, a.before IS NOT NULL OR a.after IS NOT NULL AS is_change
        FROM access.audit AS a WHERE a.db_role = $1 ORDER BY a.id DESC LIMIT 300
    ) AS newest
$$;

-- One record, written as whoever calls. The database's owner (command line, loads) and the web process are believed; who
-- signs in to SQL is not: it writes notes of its own, about its own area, and no address. In any case a name that a deed
-- has from the database itself, or from the process that did it, is nobody else's to write.
CREATE FUNCTION access.record(
    action text, subject text DEFAULT '', subject_id text DEFAULT NULL, town_code text DEFAULT NULL, reason text DEFAULT NULL,
    detail jsonb DEFAULT NULL, ok boolean DEFAULT true, ip inet DEFAULT NULL, login text DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    who constant name := access.caller();
    is_owner constant boolean := who = current_user;
    by_web constant boolean := pg_has_role(session_user, 'geoapp_web', 'MEMBER');
    is_account constant boolean := EXISTS (SELECT 1 FROM access.account AS a WHERE a.db_role = who);
    -- Written by triggers, by access.record_export, and by the owner's own commands.
    of_the_database constant text[] := ARRAY['insert', 'update', 'delete', 'export', 'load', 'sample_city', 'backup', 'restore'];
    -- Written by the web process for a stranger.
    of_strangers constant text[] := ARRAY['sign_in_refused'];
    -- What a SQL login may call its own records.
    of_sql constant text[] := ARRAY['note'];
BEGIN
    IF $1 IS NULL OR $1 !~ '^[a-z_]{1,40}$' OR length($2) > 100 OR length($3) > 300 OR length($4) > 12 OR length($5) > 1000
        OR length($9) > 100 OR (pg_column_size($6) >= 8192 AND NOT is_owner)
    THEN
        RAISE EXCEPTION '审计记录的内容过长或名称不合规 / a record of the audit is too long, or its action is no name'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF is_owner THEN
        RETURN access.write_record($1, $2, $3, $4, $5, $6, $7, $8, $9);
    END IF;
    IF $1 = ANY (of_the_database) OR (is_account AND $1 = ANY (of_strangers)) OR NOT (by_web OR $1 = ANY (of_sql)) THEN
        RAISE EXCEPTION '审计事件 % 不能自行写入 / nobody writes % into the audit by hand', $1, $1
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    -- A flood would bury what matters. What a deed calls for is refused together with the deed; a refusal stands without
    -- its record, and is counted in the metrics.
    IF is_account AND ($1 = ANY (of_sql) OR $1 IN ('look_at_evidence', 'refused')) AND access.writes_too_much(who) THEN
        IF $1 = 'refused' THEN
            RETURN NULL;
        END IF;
        RAISE EXCEPTION '一分钟内的记录过多，请稍后再试 / too many records within a minute: try again in a minute'
            USING ERRCODE = 'configuration_limit_exceeded';
    END IF;
    RETURN access.write_record(
        $1, $2, $3, CASE WHEN by_web OR $4 = ANY (access.units_of_caller()) THEN $4 END, $5, $6, $7,
        CASE WHEN by_web THEN $8 END, CASE WHEN by_web THEN $9 END
    );
END $$;
COMMENT ON FUNCTION access.record IS '写一条审计; adds one audit record in the caller''s name. 22023: it does not fit; 42501: not a name for the caller; 53400: too many within a minute.';

-- Row trigger: what was changed, before and after. Arguments: the key column, then columns whose value is not kept.
-- Copies for tiles (*_3857) are left out. The town comes from the row, or from the site or account it belongs to.
CREATE FUNCTION access.audit_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    old_row jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
    new_row jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
    any_row jsonb := coalesce(new_row, old_row);
    masked text;
    old_kept jsonb;
    new_kept jsonb;
    who access.account;
    place text;
BEGIN
    SELECT jsonb_object_agg(e.key, e.value) INTO old_kept FROM jsonb_each(old_row) AS e
    WHERE e.key NOT LIKE '%\_3857' AND (new_row IS NULL OR new_row -> e.key IS DISTINCT FROM e.value);
    SELECT jsonb_object_agg(e.key, e.value) INTO new_kept FROM jsonb_each(new_row) AS e
    WHERE e.key NOT LIKE '%\_3857' AND (old_row IS NULL OR old_row -> e.key IS DISTINCT FROM e.value);
    IF TG_OP = 'UPDATE' AND old_kept IS NULL AND new_kept IS NULL THEN
        RETURN NULL;  -- nothing changed
    END IF;
    FOR i IN 1 .. TG_NARGS - 1 LOOP
        masked := TG_ARGV[i];
        IF old_kept ? masked AND old_kept ->> masked IS NOT NULL THEN
            old_kept := jsonb_set(old_kept, ARRAY[masked], '"***"');
        END IF;
        IF new_kept ? masked AND new_kept ->> masked IS NOT NULL THEN
            new_kept := jsonb_set(new_kept, ARRAY[masked], '"***"');
        END IF;
    END LOOP;
    SELECT a.* INTO who FROM access.account AS a WHERE a.db_role = access.caller();
    place := coalesce(
        any_row ->> 'town_code',
        left(coalesce(any_row ->> 'cell_code', any_row ->> 'community_code'), 9) || '000',
        CASE WHEN right(any_row ->> 'unit_code', 6) <> '000000' THEN left(any_row ->> 'unit_code', 9) || '000' END
    );
    IF place IS NULL AND any_row ? 'site_id' THEN
        SELECT s.town_code INTO place FROM registry.site AS s WHERE s.id = (any_row ->> 'site_id')::bigint;
    END IF;
    INSERT INTO access.audit (db_role, account_id, login, action, subject, subject_id, town_code, before, after, reason)
    VALUES (
        access.caller(), who.id, who.login, lower(TG_OP), TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME,
        any_row ->> TG_ARGV[0], place, old_kept, new_kept, nullif(current_setting('geoapp.reason', true), '')
    );
    RETURN NULL;
END $$;

-- The tables whose every change is kept. A load by the tables' owner that names its batch (geoapp.batch) is one record of
-- its own, with the rows in staging; nobody else can leave out a row, whatever they set.
DO $$
DECLARE
    watched record;
BEGIN
    FOR watched IN
        SELECT * FROM (VALUES
            ('territory.city', 'code', ''), ('territory.unit', 'code', ''), ('territory.grid_cell', 'code', ''),
            ('territory.no_cell_ground', 'id', ''),
            ('duty.department', 'code', ''), ('duty.rule', 'code', ''), ('duty.person', 'id', ''),
            ('duty.assignment', 'id', ''), ('duty.grid_staff', 'id', ''), ('duty.unit_staff', 'id', ''),
            ('registry.site', 'id', ''), ('registry.key_risk_area', 'id', ''), ('registry.camera', 'id', ', ''snapshot_url'''),
            ('registry.certificate', 'id', ''), ('registry.hot_work_permit', 'id', ''),
            ('inspection.visit', 'id', ''), ('inspection.hazard', 'id', ''),
            ('analysis.parameter', 'name', ''),
            ('access.account', 'id', ', ''password_hash'', ''oidc_subject'''), ('access.account_area', 'account_id', ''),
            ('access.account_site', 'account_id', ''), ('access.token', 'id', ', ''token_hash'''),
            ('access.secret', 'subject_id', ', ''sealed''')
        ) AS t (name, key, masked)
    LOOP
        EXECUTE format(
            'CREATE TRIGGER audit_change AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW'
            ' WHEN (coalesce(current_setting(''geoapp.batch'', true), '''') = '''' OR access.caller() <> %L)'
            ' EXECUTE FUNCTION access.audit_row(%L%s)',
            watched.name, current_user, watched.key, watched.masked
        );
    END LOOP;
END $$;
-- That a token was used is no change of it: a screen that asks all day would fill the audit.
DROP TRIGGER audit_change ON access.token;
CREATE TRIGGER audit_change AFTER INSERT OR DELETE OR UPDATE OF token_hash, account_id, name, scopes, expires_at, revoked_at ON access.token
FOR EACH ROW EXECUTE FUNCTION access.audit_row('id', 'token_hash');

-- An account's database role follows the account: made with it, in the groups of its roles and scope, in none when disabled.
CREATE FUNCTION access.follow_role(account access.account) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted text[] := CASE WHEN account.disabled_at IS NULL THEN
        ARRAY(SELECT 'geoapp_' || r FROM unnest(account.roles) AS r) || ('geoapp_scope_' || account.scope)
        ELSE '{}' END;
    held record;
    missing text;
BEGIN
    IF account.db_role !~ '^geoapp_[a-z0-9._-]+_[0-9a-f]{6}$' THEN
        RAISE EXCEPTION 'access.account.db_role %: geoapp_<login>_<6 hex> is expected', account.db_role;
    END IF;
    IF NOT EXISTS (SELECT 1 FROM pg_roles AS r WHERE r.rolname = account.db_role) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN INHERIT', account.db_role);
    END IF;
    EXECUTE format('ALTER ROLE %I %s CONNECTION LIMIT 4', account.db_role,
        CASE WHEN account.has_sql_login AND account.disabled_at IS NULL THEN 'LOGIN' ELSE 'NOLOGIN' END);
    -- Who signs in to SQL shares the server: defaults of the session, which its owner may change, but for temp_file_limit.
    IF account.has_sql_login AND account.disabled_at IS NULL THEN
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), account.db_role);
        EXECUTE format('ALTER ROLE %I SET statement_timeout = %L', account.db_role, '60s');
        EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = %L', account.db_role, '10min');
        EXECUTE format('ALTER ROLE %I SET work_mem = %L', account.db_role, '16MB');
        BEGIN
            EXECUTE format('ALTER ROLE %I SET temp_file_limit = %L', account.db_role, '1GB');
        EXCEPTION WHEN insufficient_privilege THEN NULL;  -- only a superuser may set a limit that holds
        END;
    ELSE
        EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM %I', current_database(), account.db_role);
        EXECUTE format('ALTER ROLE %I PASSWORD NULL', account.db_role);
        EXECUTE format('ALTER ROLE %I RESET ALL', account.db_role);
    END IF;
    FOR held IN
        SELECT g.rolname FROM pg_auth_members AS m
        JOIN pg_roles AS g ON g.oid = m.roleid JOIN pg_roles AS r ON r.oid = m.member
        WHERE r.rolname = account.db_role AND g.rolname <> ALL (wanted)
    LOOP
        EXECUTE format('REVOKE %I FROM %I', held.rolname, account.db_role);
    END LOOP;
    FOREACH missing IN ARRAY wanted LOOP
        IF NOT pg_has_role(account.db_role, missing, 'MEMBER') THEN
            EXECUTE format('GRANT %I TO %I', missing, account.db_role);
        END IF;
    END LOOP;
    IF account.disabled_at IS NULL THEN
        EXECUTE format('GRANT %I TO geoapp_web', account.db_role);
    ELSE
        EXECUTE format('REVOKE %I FROM geoapp_web', account.db_role);
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION access.follow_role FROM PUBLIC;

CREATE FUNCTION access.account_followed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- A new account takes no role that is there already: it could be another city's, or the web process's own.
    IF TG_OP = 'INSERT' AND EXISTS (SELECT 1 FROM pg_roles AS r WHERE r.rolname = NEW.db_role) THEN
        RAISE EXCEPTION '数据库角色 % 已存在 / there is a database role % already', NEW.db_role, NEW.db_role
            USING ERRCODE = 'duplicate_object';
    END IF;
    PERFORM access.follow_role(NEW);
    IF NEW.disabled_at IS NOT NULL THEN
        UPDATE access.session AS s SET ended_at = NEW.disabled_at, ended_why = 'account_disabled'
        WHERE s.account_id = NEW.id AND s.ended_at IS NULL;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER account_role_follows AFTER INSERT OR UPDATE OF roles, scope, db_role, has_sql_login, disabled_at ON access.account
FOR EACH ROW EXECUTE FUNCTION access.account_followed();

-- Changes of the grid wait for somebody else's yes: who plans a change may not approve it, whatever roles they hold.
CREATE TABLE territory.changeset (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
    reason text NOT NULL DEFAULT '',
    town_code text NOT NULL REFERENCES territory.unit (code) DEFERRABLE INITIALLY DEFERRED,
    proposal jsonb,
    state text NOT NULL DEFAULT 'draft' CHECK (state IN ('draft', 'submitted', 'approved', 'rejected')),
    planned_by name NOT NULL DEFAULT CURRENT_USER,
    planned_at timestamptz NOT NULL DEFAULT now(),
    reviewed_by name,
    reviewed_at timestamptz,
    review_note text,
    CHECK (reviewed_by <> planned_by),
    CHECK ((state IN ('approved', 'rejected')) = (reviewed_by IS NOT NULL))
);
CREATE INDEX changeset_town_idx ON territory.changeset (town_code, state);
COMMENT ON TABLE territory.changeset IS '网格调整方案: a proposed change of cells. planned_by and reviewed_by are never the same account.';
COMMENT ON COLUMN territory.changeset.proposal IS 'The cells that would stand there instead, as GeoJSON (EPSG:4326).';

CREATE FUNCTION territory.changeset_reviewed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF OLD.state IN ('approved', 'rejected') THEN
        RAISE EXCEPTION '方案已审 / changeset % has been reviewed already', OLD.id USING ERRCODE = 'check_violation';
    END IF;
    -- What is reviewed is what was handed in: the plan is its planner's, and only while it is a draft. Who holds both roles
    -- would otherwise rewrite another's plan with the same statement that approves it.
    IF (NEW.title, NEW.reason, NEW.proposal, NEW.town_code) IS DISTINCT FROM (OLD.title, OLD.reason, OLD.proposal, OLD.town_code)
        AND (OLD.state <> 'draft' OR access.caller() <> OLD.planned_by OR NEW.state NOT IN ('draft', 'submitted'))
    THEN
        RAISE EXCEPTION '只有编制人可以修改草稿 / only its planner changes changeset %, and only while it is a draft', OLD.id
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NEW.review_note IS DISTINCT FROM OLD.review_note AND NEW.state NOT IN ('approved', 'rejected') THEN
        RAISE EXCEPTION '审批意见随审批一起写 / the note of changeset % comes with its review', OLD.id
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NEW.state IN ('approved', 'rejected') THEN
        IF OLD.state <> 'submitted' THEN
            RAISE EXCEPTION '方案未提交 / changeset % is not submitted', OLD.id USING ERRCODE = 'check_violation';
        END IF;
        IF access.caller() = OLD.planned_by THEN
            RAISE EXCEPTION '编制人不能审批自己的方案 / who planned changeset % may not review it', OLD.id
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        IF NOT pg_has_role(current_user, 'geoapp_committee', 'USAGE') THEN
            RAISE EXCEPTION '只有安委会可以审批 / only the committee reviews changesets' USING ERRCODE = 'insufficient_privilege';
        END IF;
        NEW.reviewed_by := access.caller();
        NEW.reviewed_at := clock_timestamp();
    ELSIF access.caller() <> OLD.planned_by THEN
        RAISE EXCEPTION '只有编制人可以修改方案 / only its planner changes changeset %', OLD.id USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER changeset_review BEFORE UPDATE ON territory.changeset
FOR EACH ROW EXECUTE FUNCTION territory.changeset_reviewed();
CREATE TRIGGER audit_change AFTER INSERT OR UPDATE OR DELETE ON territory.changeset
FOR EACH ROW EXECUTE FUNCTION access.audit_row('id');

-- Who holds an office is seen by those who see the office: nobody may put a person into one to get to see them. A person
-- that the caller does not see is refused exactly like one that is not there.
CREATE FUNCTION duty.person_is_seen() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.person_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM duty.person AS p WHERE p.id = NEW.person_id) THEN
        RAISE EXCEPTION '没有这个人 / there is no person %', NEW.person_id USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NEW;
END $$;
REVOKE EXECUTE ON FUNCTION duty.person_is_seen FROM PUBLIC;
CREATE TRIGGER person_is_seen BEFORE INSERT OR UPDATE OF person_id ON duty.assignment
FOR EACH ROW EXECUTE FUNCTION duty.person_is_seen();

-- A review says by itself who looked and when, and every open map hears of it.
CREATE FUNCTION watch.incident_reviewed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    who text := (SELECT a.login FROM access.account AS a WHERE a.db_role = access.caller());
BEGIN
    IF who IS NOT NULL THEN
        NEW.reviewed_by := who;
        NEW.reviewed_at := clock_timestamp();
        INSERT INTO watch.outbox (topic, dedupe_key, payload) VALUES (
            'incident', 'incident:' || NEW.id || ':review:' || gen_random_uuid(),
            jsonb_build_object('id', NEW.id, 'incident_no', NEW.incident_no, 'class', NEW.class, 'state', NEW.state,
                'review', NEW.review, 'transition', 'reviewed')
        );
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER incident_review BEFORE UPDATE OF review, review_reason ON watch.incident
FOR EACH ROW WHEN (OLD.review IS DISTINCT FROM NEW.review OR OLD.review_reason IS DISTINCT FROM NEW.review_reason)
EXECUTE FUNCTION watch.incident_reviewed();
CREATE TRIGGER audit_change AFTER UPDATE OF review, review_reason ON watch.incident
FOR EACH ROW WHEN (OLD.review IS DISTINCT FROM NEW.review OR OLD.review_reason IS DISTINCT FROM NEW.review_reason)
EXECUTE FUNCTION access.audit_row('id');

-- Triggers that keep house must work whoever changes a row.
ALTER FUNCTION territory.bump_layer() SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp;
ALTER FUNCTION territory.keep_cell_version() SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp;
ALTER FUNCTION watch.tell_live() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;

-- The area of rows that had none.
ALTER TABLE territory.grid_cell ADD COLUMN town_code text GENERATED ALWAYS AS (left(community_code, 9) || '000') STORED;
CREATE INDEX grid_cell_town_idx ON territory.grid_cell (town_code);
ALTER TABLE territory.grid_cell_history ADD COLUMN town_code text GENERATED ALWAYS AS (left(community_code, 9) || '000') STORED;
CREATE INDEX site_community_idx ON registry.site ((left(cell_code, 12)));
-- A site or camera near a border may be another town's than the cell it stands in: it is seen by both.
CREATE INDEX site_over_border_idx ON registry.site ((left(cell_code, 9) || '000'))
WHERE town_code IS DISTINCT FROM left(cell_code, 9) || '000';
CREATE INDEX site_apart_idx ON registry.site (town_code)
WHERE cell_code IS NULL OR town_code IS DISTINCT FROM left(cell_code, 9) || '000';
CREATE INDEX incident_community_idx ON watch.incident ((left(cell_code, 12)), last_seen_at DESC);
CREATE INDEX incident_site_idx ON watch.incident (site_id);
CREATE INDEX camera_site_idx ON registry.camera (site_id);
CREATE INDEX key_risk_area_site_idx ON registry.key_risk_area (site_id);
-- No index of town and place in one: towns lie together on the ground, so that the box alone finds their rows as fast, and
-- it took longer to make than all others (docs/benchmarks.md).

-- An incident is seen where it lies and where the site stands that it is put down to: it raises that site's risk. These
-- two columns are filled only where the site is elsewhere.
ALTER TABLE watch.incident ADD COLUMN site_town_code text, ADD COLUMN site_community_code text;
COMMENT ON COLUMN watch.incident.site_town_code IS 'Derived: town of its site (or of its key risk area''s site), where that is not town_code.';
COMMENT ON COLUMN watch.incident.site_community_code IS 'Derived: community of its site, where that is not the community of cell_code.';
CREATE INDEX incident_site_town_idx ON watch.incident (site_town_code) WHERE site_town_code IS NOT NULL;
CREATE INDEX incident_site_community_idx ON watch.incident (site_community_code) WHERE site_community_code IS NOT NULL;
-- With the column that the policy asks besides: a count by town is then answered by the index alone.
CREATE INDEX incident_town_idx ON watch.incident (town_code, last_seen_at DESC) INCLUDE (site_town_code);
CREATE INDEX incident_key_risk_area_idx ON watch.incident (key_risk_area_id) WHERE key_risk_area_id IS NOT NULL;

CREATE FUNCTION watch.incident_put_down() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.site_town_code := NULL;
    NEW.site_community_code := NULL;
    IF NEW.site_id IS NOT NULL OR NEW.key_risk_area_id IS NOT NULL THEN
        SELECT nullif(s.town_code, NEW.town_code), nullif(left(s.cell_code, 12), left(NEW.cell_code, 12))
        INTO NEW.site_town_code, NEW.site_community_code
        FROM registry.site AS s
        WHERE s.id = coalesce(NEW.site_id, (SELECT a.site_id FROM registry.key_risk_area AS a WHERE a.id = NEW.key_risk_area_id));
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER incident_put_down BEFORE INSERT OR UPDATE OF site_id, key_risk_area_id, town_code, cell_code ON watch.incident
FOR EACH ROW EXECUTE FUNCTION watch.incident_put_down();

-- So is a key risk area: where it lies, and where its site stands, which may be another town's or community's ground.
ALTER TABLE registry.key_risk_area ADD COLUMN site_town_code text, ADD COLUMN site_community_code text;
COMMENT ON COLUMN registry.key_risk_area.site_town_code IS 'Derived: town of its site. Asked by policies instead of a million sites.';
COMMENT ON COLUMN registry.key_risk_area.site_community_code IS 'Derived: community of its site.';
CREATE FUNCTION registry.key_risk_area_of_site() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT s.town_code, left(s.cell_code, 12) INTO NEW.site_town_code, NEW.site_community_code
    FROM registry.site AS s WHERE s.id = NEW.site_id;
    RETURN NEW;
END $$;
ALTER TABLE registry.key_risk_area DISABLE TRIGGER audit_change;
UPDATE registry.key_risk_area AS k SET site_town_code = s.town_code, site_community_code = left(s.cell_code, 12)
FROM registry.site AS s WHERE s.id = k.site_id;
ALTER TABLE registry.key_risk_area ENABLE TRIGGER audit_change;
CREATE TRIGGER key_risk_area_of_site BEFORE INSERT OR UPDATE OF site_id ON registry.key_risk_area
FOR EACH ROW EXECUTE FUNCTION registry.key_risk_area_of_site();

-- The site moves, or is another town's from now on.
CREATE FUNCTION registry.site_moved() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE registry.key_risk_area AS a SET site_id = a.site_id WHERE a.site_id = NEW.id;
    UPDATE watch.incident AS i SET site_id = i.site_id
    WHERE i.site_id = NEW.id
        OR (i.site_id IS NULL AND i.key_risk_area_id IN (SELECT a.id FROM registry.key_risk_area AS a WHERE a.site_id = NEW.id));
    RETURN NULL;
END $$;
CREATE TRIGGER incidents_follow_site AFTER UPDATE OF town_code, cell_code ON registry.site
FOR EACH ROW WHEN (OLD.town_code IS DISTINCT FROM NEW.town_code OR OLD.cell_code IS DISTINCT FROM NEW.cell_code)
EXECUTE FUNCTION registry.site_moved();
UPDATE watch.incident AS i SET
    site_town_code = nullif(s.town_code, i.town_code),
    site_community_code = nullif(left(s.cell_code, 12), left(i.cell_code, 12))
FROM registry.site AS s LEFT JOIN registry.key_risk_area AS a ON a.site_id = s.id
WHERE s.id = i.site_id OR (i.site_id IS NULL AND a.id = i.key_risk_area_id);

-- A camera belongs to every area that it looks into, not only to the one where its pole stands: otherwise a town's
-- coverage would be reckoned without the neighbour's camera that sees into it.
CREATE TABLE registry.camera_reach (
    camera_id bigint NOT NULL REFERENCES registry.camera (id) ON DELETE CASCADE,
    community_code text NOT NULL,
    town_code text NOT NULL GENERATED ALWAYS AS (left(community_code, 9) || '000') STORED,
    PRIMARY KEY (camera_id, community_code)
);
CREATE INDEX camera_reach_town_idx ON registry.camera_reach (town_code);
CREATE INDEX camera_reach_community_idx ON registry.camera_reach (community_code);
COMMENT ON TABLE registry.camera_reach IS 'Derived: communities whose cells a camera''s sector touches. Kept by triggers on camera and grid_cell.';

CREATE FUNCTION registry.camera_reached() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    DELETE FROM registry.camera_reach AS r WHERE r.camera_id = NEW.id;
    IF NEW.sector IS NOT NULL THEN
        INSERT INTO registry.camera_reach (camera_id, community_code)
        SELECT DISTINCT NEW.id, c.community_code FROM territory.grid_cell AS c
        WHERE c.geom && NEW.sector AND ST_Intersects(c.geom, NEW.sector);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER camera_reach_follows AFTER INSERT OR UPDATE OF sector ON registry.camera
FOR EACH ROW EXECUTE FUNCTION registry.camera_reached();

-- Cameras near cells that were changed.
CREATE FUNCTION registry.cell_reached() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    near bigint[] := '{}';
BEGIN
    IF TG_OP <> 'DELETE' THEN
        near := ARRAY(SELECT DISTINCT k.id FROM new_cell AS c JOIN registry.camera AS k ON k.sector && c.geom);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        near := near || ARRAY(SELECT DISTINCT k.id FROM old_cell AS c JOIN registry.camera AS k ON k.sector && c.geom);
    END IF;
    DELETE FROM registry.camera_reach AS r WHERE r.camera_id = ANY (near);
    INSERT INTO registry.camera_reach (camera_id, community_code)
    SELECT DISTINCT k.id, c.community_code
    FROM registry.camera AS k
    JOIN territory.grid_cell AS c ON c.geom && k.sector AND ST_Intersects(c.geom, k.sector)
    WHERE k.id = ANY (near);
    RETURN NULL;
END $$;
CREATE TRIGGER camera_reach_insert AFTER INSERT ON territory.grid_cell
REFERENCING NEW TABLE AS new_cell FOR EACH STATEMENT EXECUTE FUNCTION registry.cell_reached();
CREATE TRIGGER camera_reach_update AFTER UPDATE ON territory.grid_cell
REFERENCING OLD TABLE AS old_cell NEW TABLE AS new_cell FOR EACH STATEMENT EXECUTE FUNCTION registry.cell_reached();
CREATE TRIGGER camera_reach_delete AFTER DELETE ON territory.grid_cell
REFERENCING OLD TABLE AS old_cell FOR EACH STATEMENT EXECUTE FUNCTION registry.cell_reached();
INSERT INTO registry.camera_reach (camera_id, community_code)
SELECT DISTINCT k.id, c.community_code
FROM registry.camera AS k JOIN territory.grid_cell AS c ON c.geom && k.sector AND ST_Intersects(c.geom, k.sector);

-- Key risk areas of the caller: those that lie in its area, and those of its sites wherever they lie.
CREATE VIEW access.my_key_risk_area AS
WITH area AS MATERIALIZED (
    SELECT a.scope, r.area_code
    FROM access.account AS a JOIN access.account_area AS r ON r.account_id = a.id
    WHERE a.db_role = access.caller() AND a.disabled_at IS NULL
)
SELECT k.id
FROM area AS r JOIN registry.key_risk_area AS k ON r.area_code IN (k.town_code, k.site_town_code)
WHERE r.scope = 'town'
UNION
SELECT k.id
FROM area AS r
JOIN territory.grid_cell AS c ON c.community_code = r.area_code
JOIN registry.key_risk_area AS k ON k.geom && c.geom AND ST_Intersects(c.geom, ST_PointOnSurface(k.geom))
WHERE r.scope = 'community'
UNION
SELECT k.id
FROM area AS r JOIN registry.key_risk_area AS k ON k.site_community_code = r.area_code
WHERE r.scope = 'community'
UNION
SELECT k.id FROM access.my_site AS s JOIN registry.key_risk_area AS k ON k.site_id = s.site_id;
COMMENT ON VIEW access.my_key_risk_area IS '本人管辖的重点风险源区域; key risk areas in the caller''s area or of its sites.';

-- Cameras that stand elsewhere but look into the caller's cells, onto its key risk areas, or at its sites in no cell.
CREATE VIEW access.my_reaching_camera AS
WITH area AS MATERIALIZED (
    SELECT a.scope, r.area_code
    FROM access.account AS a JOIN access.account_area AS r ON r.account_id = a.id
    WHERE a.db_role = access.caller() AND a.disabled_at IS NULL
),
-- Few, and found by an index of their own: it must come first, never a look from every camera at a million sites.
apart AS MATERIALIZED (
    SELECT s.geom
    FROM area AS r JOIN registry.site AS s ON s.town_code = r.area_code
    WHERE r.scope = 'town' AND (s.cell_code IS NULL OR s.town_code IS DISTINCT FROM left(s.cell_code, 9) || '000')
    UNION ALL
    SELECT s.geom FROM access.my_site AS m JOIN registry.site AS s ON s.id = m.site_id
)
SELECT c.camera_id
FROM area AS r JOIN registry.camera_reach AS c ON c.town_code = r.area_code
WHERE r.scope = 'town'
UNION
SELECT c.camera_id
FROM area AS r JOIN registry.camera_reach AS c ON c.community_code = r.area_code
WHERE r.scope = 'community'
UNION
SELECT k.id
FROM access.my_key_risk_area AS m
JOIN registry.key_risk_area AS a ON a.id = m.id
JOIN registry.camera AS k ON k.sector && a.geom AND ST_Intersects(k.sector, a.geom)
UNION
SELECT k.id
FROM apart AS s JOIN registry.camera AS k ON k.sector && s.geom AND ST_Intersects(k.sector, s.geom);
COMMENT ON VIEW access.my_reaching_camera IS '看得到本人管辖范围的摄像机; cameras whose sector touches the caller''s area, wherever they stand.';

-- The same as arrays, for the policies: planned once a connection, not again in every query that meets a policy.
CREATE FUNCTION access.areas_of_caller() RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN ARRAY(SELECT m.area_code FROM access.my_area AS m);
END $$;
CREATE FUNCTION access.units_of_caller() RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN ARRAY(SELECT m.code FROM access.my_unit AS m);
END $$;
CREATE FUNCTION access.sites_of_caller() RETURNS bigint[]
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN ARRAY(SELECT m.site_id FROM access.my_site AS m);
END $$;
CREATE FUNCTION access.key_risk_areas_of_caller() RETURNS bigint[]
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN ARRAY(SELECT m.id FROM access.my_key_risk_area AS m);
END $$;
-- Cameras that stand in the caller's area, or belong to its sites, and those that look in.
CREATE FUNCTION access.cameras_of_caller() RETURNS bigint[]
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    kind text := (SELECT m.scope FROM access.my_account AS m);
    areas text[] := access.areas_of_caller();
BEGIN
    RETURN ARRAY(
        SELECT m.camera_id FROM access.my_reaching_camera AS m
        UNION
        SELECT c.id FROM registry.camera AS c
        WHERE (kind = 'town' AND (c.town_code = ANY (areas) OR left(c.cell_code, 9) || '000' = ANY (areas)))
            OR (kind = 'community' AND left(c.cell_code, 12) = ANY (areas))
        UNION
        SELECT c.id FROM access.my_site AS s JOIN registry.camera AS c ON c.site_id = s.site_id
    );
END $$;
COMMENT ON FUNCTION access.areas_of_caller IS '本人管辖的乡镇或社区; towns or communities of the caller.';
COMMENT ON FUNCTION access.units_of_caller IS '本人可见的行政单元; units that the caller may read.';
COMMENT ON FUNCTION access.sites_of_caller IS '企业账号的场所; sites of the caller.';
COMMENT ON FUNCTION access.key_risk_areas_of_caller IS '本人管辖的重点风险源区域; key risk areas of the caller.';
COMMENT ON FUNCTION access.cameras_of_caller IS '本人可见的摄像机; cameras that stand in the caller''s area or look into it.';

-- What a message of the live stream is about, so that only those hear it who may see that.
ALTER TABLE watch.outbox ADD COLUMN incident_id uuid, ADD COLUMN camera_id bigint;
CREATE FUNCTION watch.outbox_subject() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.topic = 'incident' THEN
        NEW.incident_id := coalesce(NEW.incident_id, (NEW.payload ->> 'id')::uuid);
    ELSE
        NEW.camera_id := coalesce(NEW.camera_id, (NEW.payload ->> 'camera_id')::bigint);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER outbox_names_subject BEFORE INSERT ON watch.outbox
FOR EACH ROW EXECUTE FUNCTION watch.outbox_subject();
UPDATE watch.outbox AS o SET
    incident_id = CASE WHEN o.topic = 'incident' THEN (o.payload ->> 'id')::uuid END,
    camera_id = CASE WHEN o.topic <> 'incident' THEN (o.payload ->> 'camera_id')::bigint END;

-- The pulse that every signed-in map may hear: the newest message's id, and when the watch last tried to look.
CREATE FUNCTION watch.pulse() RETURNS TABLE (last_id bigint, last_try_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT
        (SELECT coalesce(max(o.id), 0) FROM watch.outbox AS o),
        (SELECT max(h.last_try_at) FROM watch.camera_health AS h)
$$;
COMMENT ON FUNCTION watch.pulse IS '直播流心跳：最新消息号与最近一次巡查尝试; newest outbox id, and the last try of the watch.';

-- Outside the demo the first start asks for an admin: possible once, while there is no account but the demo's, which are
-- entered on the demo's own page only. Who is in by that page is out from then on.
CREATE FUNCTION access.first_admin(login text, name_zh text, password_hash text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(748116313);
    IF EXISTS (SELECT 1 FROM access.account AS a WHERE NOT a.is_demo) THEN
        RAISE EXCEPTION '已有账号 / there are accounts already' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO access.account (login, name_zh, roles, scope, db_role, password_hash, password_set_at, created_by)
    VALUES ($1, $2, '{admin}', 'district', 'geoapp_' || $1 || '_' || left(md5(gen_random_uuid()::text), 6), $3, clock_timestamp(), 'first_start')
    RETURNING id INTO made;
    UPDATE access.session AS s SET ended_at = clock_timestamp(), ended_why = 'first_start' WHERE s.ended_at IS NULL;
    RETURN made;
END $$;
REVOKE EXECUTE ON FUNCTION access.first_admin FROM PUBLIC;
COMMENT ON FUNCTION access.first_admin IS '首次启动时建立管理员; the first admin, only while there is no account but the demo''s.';

-- Sessions and tokens that ended long ago are forgotten: of what they did the audit keeps the record.
CREATE FUNCTION access.forget_ended(sessions_before timestamptz, tokens_before timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    sessions bigint;
    tokens bigint;
BEGIN
    DELETE FROM access.session AS s WHERE least(s.ended_at, s.idle_until, s.expires_at) < sessions_before;
    GET DIAGNOSTICS sessions = ROW_COUNT;
    DELETE FROM access.token AS t WHERE least(t.revoked_at, t.expires_at) < tokens_before;
    GET DIAGNOSTICS tokens = ROW_COUNT;
    IF sessions + tokens > 0 THEN
        PERFORM access.write_record('forgotten', 'session', NULL, NULL, NULL, jsonb_build_object('sessions', sessions, 'tokens', tokens,
            'sessions_before', sessions_before, 'tokens_before', tokens_before), true, NULL, NULL);
    END IF;
    RETURN sessions + tokens;
END $$;
REVOKE EXECUTE ON FUNCTION access.forget_ended FROM PUBLIC;
COMMENT ON FUNCTION access.forget_ended IS '清除早已结束的会话和令牌; forgets sessions and tokens that ended before these moments; how many.';

-- Taking data out is an action of its own: who may not run this may not export, and who exports is on record.
CREATE FUNCTION access.record_export(
    layer text, format text, rows bigint, reason text DEFAULT NULL, ip inet DEFAULT NULL, detail jsonb DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF length($1) > 100 OR length($2) > 20 OR length($4) > 1000 OR pg_column_size($6) >= 8192 THEN
        RAISE EXCEPTION '导出记录的内容过长 / the record of an export is too long' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF access.writes_too_much(access.caller()) THEN
        RAISE EXCEPTION '一分钟内的导出过多，请稍后再试 / too many exports within a minute: try again in a minute'
            USING ERRCODE = 'configuration_limit_exceeded';
    END IF;
    RETURN access.write_record(
        'export', 'layer', $1, NULL, $4, coalesce($6, '{}') || jsonb_build_object('format', $2, 'rows', $3), true,
        CASE WHEN pg_has_role(session_user, 'geoapp_web', 'MEMBER') THEN $5 END, NULL
    );
END $$;
REVOKE EXECUTE ON FUNCTION access.record_export FROM PUBLIC;
COMMENT ON FUNCTION access.record_export IS '导出并留痕; records an export in the caller''s name.';

-- What a database role may do, by the names that screens use: read off the rights themselves, never kept twice.
-- Of the own role; of any role for the web process, which signs people in, and the owner; else NULL.
CREATE FUNCTION access.actions_of(wanted name) RETURNS text[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$  -- the web process may not enter the schemas
    SELECT array_remove(ARRAY[
        CASE WHEN has_column_privilege($1, 'watch.evidence', 'path', 'SELECT') THEN 'look_at_evidence' END,
        CASE WHEN has_column_privilege($1, 'watch.incident', 'review', 'UPDATE') THEN 'review_incident' END,
        CASE WHEN has_column_privilege($1, 'territory.changeset', 'title', 'INSERT') THEN 'propose_changeset' END,
        CASE WHEN has_column_privilege($1, 'territory.changeset', 'review_note', 'UPDATE') THEN 'review_changeset' END,
        CASE WHEN has_column_privilege($1, 'duty.assignment', 'status', 'INSERT') THEN 'assign_duty' END,
        CASE WHEN has_column_privilege($1, 'inspection.visit', 'outcome', 'INSERT') THEN 'record_visit' END,
        CASE WHEN has_column_privilege($1, 'inspection.hazard', 'class', 'INSERT') THEN 'write_hazard' END,
        CASE WHEN has_function_privilege($1, 'access.record_export(text, text, bigint, text, inet, jsonb)', 'EXECUTE') THEN 'export' END,
        CASE WHEN has_column_privilege($1, 'access.account', 'login', 'INSERT') THEN 'manage_accounts' END,
        CASE WHEN has_column_privilege($1, 'analysis.parameter', 'value', 'UPDATE') THEN 'change_parameter' END,
        CASE WHEN has_table_privilege($1, 'staging.rejected', 'SELECT') THEN 'read_imports' END
    ], NULL)
    WHERE $1 = access.caller() OR access.caller() = current_user OR pg_has_role(access.caller(), 'geoapp_web', 'MEMBER')
$$;
COMMENT ON FUNCTION access.actions_of IS '某数据库角色可做的事; what a database role may do, read off its rights.';

-- What the web process may say to a supervisor without taking anybody's role: no row of the city, only its state.
CREATE FUNCTION access.health() RETURNS TABLE (revision text, city_code text, last_try_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT
        (SELECT v.version_num::text FROM public.alembic_version AS v),
        (SELECT c.code FROM territory.city AS c),
        (SELECT max(h.last_try_at) FROM watch.camera_health AS h);
END $$;
REVOKE EXECUTE ON FUNCTION access.health FROM PUBLIC;
GRANT EXECUTE ON FUNCTION access.health TO geoapp_web;
COMMENT ON FUNCTION access.health IS '数据库版本、城市、最近一次巡查尝试; revision, city and last try of the watch, for /healthz.';

-- Incidents are counted as in analysis.headline.
CREATE FUNCTION access.metrics() RETURNS TABLE (name text, value double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT 'incidents_open', count(*)::double precision FROM analysis.event AS e WHERE e.state <> 'closed'
    UNION ALL SELECT 'incidents_unreviewed', count(*) FROM analysis.event AS e WHERE e.review = 'unreviewed'
    UNION ALL SELECT 'cameras_observed', count(*) FROM watch.camera_health AS h WHERE h.observed
    UNION ALL SELECT 'cameras_unobserved', count(*) FROM watch.camera_health AS h WHERE NOT h.observed
    UNION ALL SELECT 'cameras_due_total', count(*) FROM watch.scan_due AS d
    UNION ALL SELECT 'scan_delay_seconds', extract(epoch FROM now() - min(d.next_due_at)) FROM watch.scan_due AS d WHERE d.next_due_at < now()
    UNION ALL SELECT 'open_sessions', count(*) FROM access.session AS s WHERE s.ended_at IS NULL AND s.idle_until > now() AND s.expires_at > now();
END $$;
REVOKE EXECUTE ON FUNCTION access.metrics FROM PUBLIC;
GRANT EXECUTE ON FUNCTION access.metrics TO geoapp_web;
COMMENT ON FUNCTION access.metrics IS '供 Prometheus 的全区计数，不含任何明细; counts over the whole city for /metrics, no row of it.';

-- What the sign-in page says of the place before anybody has signed in: its name, and whether it is made up.
CREATE FUNCTION access.city_sign() RETURNS TABLE (name_zh text, name_en text, is_generated boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.name_zh, c.name_en, c.is_generated FROM territory.city AS c
$$;
REVOKE EXECUTE ON FUNCTION access.city_sign FROM PUBLIC;
GRANT EXECUTE ON FUNCTION access.city_sign TO geoapp_web;
COMMENT ON FUNCTION access.city_sign IS '登录页上的城市名; the city''s name and whether it is generated, for the sign-in page.';

-- Somebody must be left who keeps the accounts, and nobody gives or takes rights of the own account: another admin does.
-- Asked of whoever changes it, the owner too. A demo's admin, who signs in on the machine itself only, stands for no other.
CREATE FUNCTION access.account_admin_stays() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.roles @> OLD.roles AND NEW.roles <@ OLD.roles AND NEW.disabled_at IS NULL THEN
            RETURN NULL;
        END IF;
        IF access.caller() = OLD.db_role THEN
            RAISE EXCEPTION '不能更改自己的角色，也不能停用自己，请另一位管理员来做 / nobody changes the own roles or disables the own account: another admin does'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'account_own_rights';
        END IF;
    END IF;
    -- One after the other: two admins who disable each other at the same moment would both see the other.
    PERFORM pg_advisory_xact_lock(748116315);
    IF EXISTS (SELECT 1 FROM access.account)
        AND NOT EXISTS (
            SELECT 1 FROM access.account AS a
            WHERE 'admin' = ANY (a.roles) AND a.disabled_at IS NULL AND (NOT a.is_demo OR OLD.is_demo)
        )
    THEN
        RAISE EXCEPTION '% 是最后一个可用的管理员：先新增或启用另一个管理员 / % is the last enabled admin: add or enable another admin first', OLD.login, OLD.login
            USING ERRCODE = 'check_violation', CONSTRAINT = 'account_last_admin';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER account_admin_stays AFTER UPDATE OF roles, disabled_at OR DELETE ON access.account
FOR EACH ROW WHEN ('admin' = ANY (OLD.roles) AND OLD.disabled_at IS NULL) EXECUTE FUNCTION access.account_admin_stays();
REVOKE EXECUTE ON FUNCTION access.account_admin_stays FROM PUBLIC;

-- A database login is for those who work in SQL (geoapp/access/sql_login.py): it ends with the role.
CREATE FUNCTION access.account_sql_ends() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.has_sql_login := NEW.has_sql_login AND NEW.roles <@ ARRAY['analyst', 'planner'];
    RETURN NEW;
END $$;
CREATE TRIGGER account_sql_ends BEFORE UPDATE OF roles ON access.account
FOR EACH ROW EXECUTE FUNCTION access.account_sql_ends();
REVOKE EXECUTE ON FUNCTION access.account_sql_ends FROM PUBLIC;

-- A camera's address gives live pictures to whoever opens it: only the watch, which looks, and an admin, who sets it, read it.
-- Everybody else reads whether there is one.
ALTER TABLE registry.camera ADD COLUMN is_connected boolean GENERATED ALWAYS AS (snapshot_url IS NOT NULL) STORED;
COMMENT ON COLUMN registry.camera.is_connected IS '是否已接入（有取图地址）; whether there is an address to take pictures from.';
