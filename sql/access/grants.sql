-- What each role may do, table by table. Rows are another matter (policies.sql): a right here reaches only the rows there.
-- Everything is taken away first, so that this file alone says what holds.
DO $$
DECLARE
    schema_name text;
    group_name text;
    groups constant text[] := ARRAY[
        'geoapp_committee', 'geoapp_planner', 'geoapp_analyst', 'geoapp_duty_officer', 'geoapp_inspector', 'geoapp_enterprise',
        'geoapp_admin'
    ];
    everybody constant text := array_to_string(groups, ', ');
BEGIN
    FOREACH schema_name IN ARRAY ARRAY[
        'territory', 'registry', 'duty', 'watch', 'casework', 'inspection', 'access', 'analysis', 'staging', 'tiles'
    ] LOOP
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM PUBLIC, geoapp_web, geoapp_watch, %s', schema_name, everybody);
        EXECUTE format('REVOKE ALL ON SCHEMA %I FROM PUBLIC, geoapp_web, geoapp_watch, %s', schema_name, everybody);
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO geoapp_watch, geoapp_view, %s', schema_name, everybody);
    END LOOP;
    REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    -- Functions of these schemas run under their owner, or write: only those named below may call one (triggers fire without).
    FOREACH schema_name IN ARRAY ARRAY['territory', 'registry', 'duty', 'watch', 'access', 'staging'] LOOP
        EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA %I FROM PUBLIC, geoapp_web, geoapp_watch, %s', schema_name, everybody);
    END LOOP;

    -- To look: the register and what was seen, for every role. Views of analysis read with the reader's own rights.
    FOREACH schema_name IN ARRAY ARRAY['territory', 'duty', 'inspection', 'analysis'] LOOP
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO %s', schema_name, everybody);
    END LOOP;
    EXECUTE format(
        'GRANT SELECT ON registry.key_risk_area, registry.onboarding_target, registry.camera_reach, registry.cell_sight, registry.area_sight,'
        ' registry.sight_due, registry.hot_work_permit, registry.resource,'
        ' watch.observation, watch.observation_hour, watch.incident, watch.incident_observation, watch.camera_health,'
        ' watch.camera_health_event, watch.camera_connection, watch.connection_record, watch.scan_due, watch.outbox,'
        ' watch.reported_event, registry.site_risk, registry.cell_risk, registry.risk_due, registry.risk_online, registry.risk_made_from,'
        ' registry.risk_hex, watch.expected_event, watch.event_change, watch.event_bin, watch.event_day,'
        ' registry.site_bin, registry.site_bin_made TO %s', everybody
    );
    EXECUTE format('GRANT SELECT (only_row, folded, folded_at) ON watch.event_fold TO %s', everybody);
    -- How many events there were in the whole district is not for those who see a part of it.
    EXECUTE format('GRANT SELECT (only_row, made_at, cut_day, not_known_zh, not_known_en) ON watch.expected_event_made TO %s', everybody);
    EXECUTE format('GRANT SELECT ON access.my_account, access.my_area, access.my_site, access.my_unit, access.my_key_risk_area, access.my_reaching_camera TO %s', everybody);
    EXECUTE format('GRANT SELECT (id, login, name_zh, name_en, roles, scope, db_role, password_set_at, must_change_password, has_sql_login,'
        ' is_demo, disabled_at, created_at, created_by) ON access.account TO %s', everybody);
    EXECUTE format('GRANT SELECT (id, account_id, method, created_at, last_used_at, idle_until, expires_at, ended_at, ended_why, ip, user_agent),'
        ' UPDATE (ended_at, ended_why) ON access.session TO %s', everybody);
    EXECUTE format('GRANT SELECT (id, account_id, name, scopes, created_at, created_by, expires_at, last_used_at, revoked_at),'
        ' UPDATE (revoked_at) ON access.token TO %s', everybody);
    EXECUTE format('GRANT SELECT ON access.audit TO %s', everybody);
    EXECUTE format('GRANT EXECUTE ON FUNCTION access.record, access.caller, access.actions_of, watch.pulse TO geoapp_web, geoapp_watch, %s', everybody);
    EXECUTE format('GRANT EXECUTE ON FUNCTION access.areas_of_caller, access.units_of_caller, access.sites_of_caller,'
        ' access.key_risk_areas_of_caller, access.cameras_of_caller TO %s', everybody);
    -- Geometry of views: what a camera would see from a place, between the buildings that everybody may know.
    EXECUTE format('GRANT EXECUTE ON FUNCTION registry.wedge, registry.ground_seen, registry.sights_of, registry.sights_apart'
        ' TO geoapp_watch, %s', everybody);
    -- Arithmetic of counts, and the versions of what tiles show, which the web process asks for every tile.
    EXECUTE format('GRANT EXECUTE ON FUNCTION territory.bin_column, territory.bin_row, watch.counts TO geoapp_watch, %s', everybody);
    EXECUTE format('GRANT EXECUTE ON FUNCTION territory.versions_of TO geoapp_web, %s', everybody);
    REVOKE EXECUTE ON FUNCTION analysis.no_cell_ground FROM PUBLIC;
    EXECUTE format('GRANT EXECUTE ON FUNCTION analysis.no_cell_ground TO %s', everybody);

    -- People's names and phones at firms, and holders of certificates: not for those who plan or analyse.
    GRANT SELECT ON registry.site, registry.certificate
    TO geoapp_committee, geoapp_duty_officer, geoapp_inspector, geoapp_enterprise, geoapp_admin;
    EXECUTE (
        SELECT format('GRANT SELECT (%s) ON registry.site TO geoapp_planner, geoapp_analyst', string_agg(quote_ident(a.attname), ', '))
        FROM pg_attribute AS a
        WHERE a.attrelid = 'registry.site'::regclass AND a.attnum > 0 AND NOT a.attisdropped
            AND a.attname NOT IN ('contact_name', 'contact_phone')
    );
    EXECUTE (
        SELECT format('GRANT SELECT (%s) ON registry.certificate TO geoapp_planner, geoapp_analyst', string_agg(quote_ident(a.attname), ', '))
        FROM pg_attribute AS a
        WHERE a.attrelid = 'registry.certificate'::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> 'holder_name'
    );
    -- A camera's address: who opens it sees live pictures, and no record of it is kept. The watch has it, an admin sets it.
    GRANT SELECT ON registry.camera TO geoapp_admin;
    EXECUTE (
        SELECT format('GRANT SELECT (%s) ON registry.camera TO geoapp_committee, geoapp_planner, geoapp_analyst, geoapp_duty_officer,'
            ' geoapp_inspector, geoapp_enterprise', string_agg(quote_ident(a.attname), ', '))
        FROM pg_attribute AS a
        WHERE a.attrelid = 'registry.camera'::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> 'snapshot_url'
    );
    -- Frames: that there is one is known to all who see the incident; to look at it needs its path.
    GRANT SELECT ON watch.evidence TO geoapp_committee, geoapp_duty_officer, geoapp_inspector, geoapp_enterprise;
    EXECUTE (
        SELECT format('GRANT SELECT (%s) ON watch.evidence TO geoapp_planner, geoapp_analyst, geoapp_admin', string_agg(quote_ident(a.attname), ', '))
        FROM pg_attribute AS a
        WHERE a.attrelid = 'watch.evidence'::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> 'path'
    );

    -- How long frames are kept, what is held, what was deleted: figures, no picture.
    EXECUTE format('GRANT SELECT ON watch.retention_policy, watch.legal_hold, watch.evidence_room TO %s', everybody);
    EXECUTE (
        SELECT format('GRANT SELECT (%s) ON watch.deletion TO %s', string_agg(quote_ident(a.attname), ', '), everybody)
        FROM pg_attribute AS a
        WHERE a.attrelid = 'watch.deletion'::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> 'path'
    );
    -- The committee holds and releases; an admin keeps the policy. Nobody deletes: only the sweep, step by step.
    GRANT INSERT (incident_id, reason), UPDATE (release_reason) ON watch.legal_hold TO geoapp_committee;
    GRANT UPDATE (days, basis_zh, basis_en) ON watch.retention_policy TO geoapp_admin;
    GRANT EXECUTE ON FUNCTION watch.due_deletions, watch.begin_deletions, watch.may_delete, watch.end_deletion TO geoapp_watch;
    GRANT INSERT, UPDATE ON watch.evidence_room TO geoapp_watch;

    -- To act.
    GRANT INSERT (title, reason, town_code, proposal, state) ON territory.changeset TO geoapp_planner;
    GRANT UPDATE (title, reason, proposal, state) ON territory.changeset TO geoapp_planner;
    GRANT UPDATE (state, review_note) ON territory.changeset TO geoapp_committee;
    GRANT INSERT (rule_code, unit_code, department_code, role, status, person_id, valid_from, valid_to, document_no),
        UPDATE (status, person_id, valid_to, document_no) ON duty.assignment TO geoapp_committee;
    -- Industries that no rule covers: the function asks for the district's own committee.
    GRANT EXECUTE ON FUNCTION duty.designate TO geoapp_committee;
    GRANT INSERT (town_code, year, areas, document_no) ON registry.onboarding_target TO geoapp_committee;
    GRANT UPDATE (review, review_reason, false_cause) ON watch.incident TO geoapp_duty_officer;
    EXECUTE format('GRANT SELECT ON watch.incident_camera, watch.camera_mode, watch.mask, watch.set_aside_hour TO %s', everybody);
    -- The review desk: who has a lead in hand, whom it was given to, what a shift hands over.
    GRANT SELECT ON watch.incident_hold, watch.incident_assignment, watch.handover, watch.handover_receipt
    TO geoapp_committee, geoapp_duty_officer, geoapp_inspector, geoapp_enterprise;
    GRANT INSERT (incident_id, since, held_until), UPDATE (since, held_until), DELETE ON watch.incident_hold TO geoapp_duty_officer;
    GRANT INSERT (incident_id, department_code, person_id, note) ON watch.incident_assignment TO geoapp_duty_officer;
    GRANT INSERT (note, shift_from) ON watch.handover TO geoapp_duty_officer;
    GRANT INSERT (handover_id) ON watch.handover_receipt TO geoapp_duty_officer;
    -- How cameras count and where they are masked: those who plan and those who decide. The triggers write who and when.
    GRANT INSERT (camera_id, class, mode, reason, set_at, set_by) ON watch.camera_mode TO geoapp_planner, geoapp_committee, geoapp_admin;
    GRANT UPDATE (state, until, decided_at, decided_by) ON watch.mask TO geoapp_planner, geoapp_committee, geoapp_admin;
    -- Telling: what became of each message; addresses (some are people's) are the admin's, who keeps the receivers, asks for a
    -- test and for what was not taken once more. The secrets an admin may set and not read: the teller alone opens them.
    GRANT SELECT ON watch.delivery TO geoapp_committee, geoapp_duty_officer, geoapp_admin;
    GRANT SELECT (id, name, kind, added_at, paused_at, removed_at) ON watch.receiver TO geoapp_committee, geoapp_duty_officer;
    GRANT SELECT, INSERT (name, kind, address, recipients, sender, language, topics, classes, transitions, towns, min_score,
        only_confirmed, cooldown_s, quiet_from, quiet_to, quiet_passes, per_minute, give_up_after_s, added_at, added_by, next_try_at,
        tokens, tokens_at),
        UPDATE (address, recipients, sender, language, topics, classes, transitions, towns, min_score, only_confirmed, cooldown_s,
        quiet_from, quiet_to, quiet_passes, per_minute, give_up_after_s, paused_at, paused_by, removed_at, removed_by, next_try_at)
        ON watch.receiver TO geoapp_admin;
    GRANT INSERT (receiver_id, message_key, topic, subject, transition, happened_at, next_try_at, due_since),
        UPDATE (state, waits_for, next_try_at, due_since) ON watch.delivery TO geoapp_admin;
    GRANT INSERT (site_id, kind, done_at, person_id, outcome) ON inspection.visit TO geoapp_inspector, geoapp_enterprise;
    GRANT INSERT (site_id, class, is_unlicensed_work, title_zh, title_en, found_at, found_by, deadline, state),
        UPDATE (class, deadline, state, closed_at) ON inspection.hazard TO geoapp_inspector;
    GRANT UPDATE (state) ON inspection.hazard TO geoapp_enterprise;
    -- An admin keeps accounts, constants and imports; sees neither frames nor sealed values nor password hashes.
    GRANT INSERT (login, name_zh, name_en, roles, scope, db_role, password_hash, password_set_at, must_change_password, oidc_subject),
        UPDATE (name_zh, name_en, roles, scope, password_hash, password_set_at, must_change_password, oidc_subject, disabled_at),
        SELECT (oidc_subject) ON access.account TO geoapp_admin;
    GRANT SELECT, INSERT, DELETE ON access.account_area, access.account_site TO geoapp_admin;
    GRANT INSERT (token_hash, account_id, name, scopes, created_at, expires_at) ON access.token TO geoapp_admin;
    GRANT SELECT (subject_kind, subject_id, field, key_id, set_at, set_by), INSERT (subject_kind, subject_id, field, key_id, sealed),
        DELETE ON access.secret TO geoapp_admin;
    GRANT UPDATE (value) ON analysis.parameter TO geoapp_admin;
    GRANT SELECT ON staging.load, staging.feed, staging.batch, staging.rejected, staging.repaired, staging.warning, registry.site_merge,
        registry.site_alias TO geoapp_admin;
    GRANT EXECUTE ON FUNCTION staging.is_held, registry.merge_sites, registry.keep_sites_apart TO geoapp_admin;

    GRANT EXECUTE ON FUNCTION access.record_export TO geoapp_committee, geoapp_planner, geoapp_analyst, geoapp_enterprise;

    -- The web process itself.
    GRANT EXECUTE ON FUNCTION access.first_admin, access.forget_ended, access.health, access.metrics, access.city_sign TO geoapp_web;
    GRANT USAGE ON SCHEMA access, watch, territory, registry TO geoapp_web;
    -- It keeps what maps are drawn from in order; neither shows it anything.
    GRANT EXECUTE ON FUNCTION watch.fold_events, registry.rebuild_site_bin TO geoapp_web;
    GRANT SELECT, UPDATE (password_hash, password_set_at, must_change_password) ON access.account TO geoapp_web;
    GRANT SELECT ON access.account_area, access.account_site TO geoapp_web;
    GRANT SELECT, INSERT, UPDATE ON access.session TO geoapp_web;
    GRANT SELECT, UPDATE (last_used_at) ON access.token TO geoapp_web;
    GRANT SELECT, INSERT, DELETE ON access.sign_in_attempt, access.oidc_flow TO geoapp_web;
    -- The watch: reads the ground and the cameras, writes what was seen; no account, no firm, no person, no review.
    GRANT SELECT ON territory.city, territory.unit, territory.grid_cell, registry.camera, registry.key_risk_area,
        registry.hot_work_permit TO geoapp_watch;
    GRANT SELECT ON ALL TABLES IN SCHEMA watch TO geoapp_watch;
    GRANT INSERT ON watch.scan_due, watch.observation, watch.observation_hour, watch.camera_health, watch.camera_health_event,
        watch.incident_observation, watch.evidence, watch.outbox TO geoapp_watch;
    GRANT UPDATE ON watch.scan_due, watch.observation_hour, watch.camera_health TO geoapp_watch;
    GRANT DELETE ON watch.scan_due, watch.observation, watch.outbox TO geoapp_watch;
    GRANT INSERT, UPDATE ON watch.incident_camera, watch.set_aside_hour TO geoapp_watch;
    GRANT UPDATE (suppressed, last_suppressed_at) ON watch.mask TO geoapp_watch;
    GRANT EXECUTE ON FUNCTION watch.make_partitions, watch.drop_observations, watch.added_reasons TO geoapp_watch;
    GRANT EXECUTE ON FUNCTION watch.make_hour_partitions, watch.record_connections, watch.forget_hours TO geoapp_watch;
    -- It runs all day: it keeps the scores in step, too.
    GRANT EXECUTE ON FUNCTION analysis.keep_risk, analysis.keep_risk_surface TO geoapp_watch;
    -- It tells, too (geoapp tell): who is told is the owner's to say.
    GRANT UPDATE (planned_at) ON watch.outbox TO geoapp_watch;
    GRANT INSERT, UPDATE, DELETE ON watch.delivery TO geoapp_watch;
    GRANT UPDATE (next_try_at, failures, failing_since, last_answer, last_told_at, tokens, tokens_at, lease_owner, lease_until,
        lease_token) ON watch.receiver TO geoapp_watch;
    GRANT EXECUTE ON FUNCTION watch.told_incident TO geoapp_watch;
    -- A partition is read through its table only.
    EXECUTE (
        SELECT coalesce(string_agg(format('REVOKE ALL ON %s FROM geoapp_watch;', c.oid::regclass), ' '), 'SELECT 1')
        FROM pg_class AS c
        WHERE c.relispartition AND c.relkind = 'r' AND c.relnamespace = 'watch'::regnamespace
    );
    EXECUTE (
        SELECT format('GRANT INSERT (%1$s), UPDATE (%1$s) ON watch.incident TO geoapp_watch', string_agg(quote_ident(a.attname), ', '))
        FROM pg_attribute AS a
        WHERE a.attrelid = 'watch.incident'::regclass AND a.attnum > 0 AND NOT a.attisdropped
            AND a.attname NOT IN ('review', 'review_reason', 'reviewed_by', 'reviewed_at', 'false_cause')
    );
    GRANT SELECT ON access.secret TO geoapp_watch;
END $$;

-- Views belong to a role that owns no table and may pass by no policy. They read with the rights of whoever asks
-- (security_invoker): the time-dependent ones are SQL functions, which PostgreSQL runs as the caller in any case.
DO $$
DECLARE
    found record;
BEGIN
    GRANT CREATE ON SCHEMA analysis, tiles TO geoapp_view;
    FOR found IN
        SELECT c.oid::regclass AS name FROM pg_class AS c
        WHERE c.relkind = 'v' AND c.relnamespace IN ('analysis'::regnamespace, 'tiles'::regnamespace)
    LOOP
        EXECUTE format('ALTER VIEW %s SET (security_invoker = true)', found.name);
        EXECUTE format('ALTER VIEW %s OWNER TO geoapp_view', found.name);
    END LOOP;
    REVOKE CREATE ON SCHEMA analysis, tiles FROM geoapp_view;
END $$;

-- These run as their owner: a reader's own function in a WHERE must not be asked about rows that are not the reader's.
ALTER VIEW access.my_account SET (security_barrier = true);
ALTER VIEW access.my_area SET (security_barrier = true);
ALTER VIEW access.my_site SET (security_barrier = true);
ALTER VIEW access.my_unit SET (security_barrier = true);
ALTER VIEW access.my_key_risk_area SET (security_barrier = true);
ALTER VIEW access.my_reaching_camera SET (security_barrier = true);

-- A box comparison of stored geometries cannot tell anything: marked leakproof, it may use its index before the policy is
-- asked (without it a small map of a million sites reads the whole town). Needs a superuser; without one maps are slower.
DO $$
BEGIN
    EXECUTE (
        SELECT format('ALTER FUNCTION %s LEAKPROOF', o.oprcode::regprocedure)
        FROM pg_operator AS o
        WHERE o.oprname = '&&' AND o.oprleft = 'geometry'::regtype AND o.oprright = 'geometry'::regtype
    );
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'geometry && is not leakproof: scoped maps read more rows. A superuser can run ALTER FUNCTION geometry_overlaps(geometry, geometry) LEAKPROOF';
END $$;
