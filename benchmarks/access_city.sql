-- A city for benchmarks/access.py, by rule and not by chance: the same sizes give the same rows.
-- :towns towns in strips of equal ground, :communities squares of 1750 m with 100 cells of 175 m each, then :sites sites,
-- :areas key risk areas, :cameras cameras, :incidents incidents over the year before :as_of, the newest :frames of them with a frame, :visits
-- visits and :hazards hazards. Row n of every table stands in community n % :communities, so that every community has its
-- share and no area lies together on the disk. Four of ten sites stand within 250 m of the middle of their community.
-- Run by the owner with triggers off (session_replication_role) and indexes dropped; it fills camera_reach itself.

-- A fraction in [0, 1) that follows from a number.
CREATE SCHEMA bench;
CREATE FUNCTION bench.part(n bigint, seed bigint) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT (hashint8extended(n, seed) & 1048575) / 1048576.0 $$;
-- One of the numbers 1 to count.
CREATE FUNCTION bench.one_of(n bigint, seed bigint, count bigint) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 1 + floor(bench.part(n, seed) * count)::integer $$;

INSERT INTO territory.city (name_zh, name_en, code, metric_srid, is_generated) VALUES ('量测区', 'Benchmark', '310116', 4549, true);
INSERT INTO territory.unit (code, level, name_zh, is_generated) VALUES ('310116000000', 'county', '量测区', true);

-- Communities in columns of ten; a town is a run of them.
CREATE TABLE bench.community AS
SELECT
    n, '310116' || (101 + n * :towns / :communities) AS town9,
    '310116' || (101 + n * :towns / :communities)
        || lpad((row_number() OVER (PARTITION BY n * :towns / :communities ORDER BY n))::text, 3, '0') AS code,
    610000 + (n / 10) * 1750.0 AS x, 3400000 + (n % 10) * 1750.0 AS y
FROM generate_series(0, :communities - 1) AS n;
ALTER TABLE bench.community ADD PRIMARY KEY (n);

INSERT INTO territory.unit (code, level, parent_code, name_zh, geom, is_generated)
SELECT
    c.town9 || '000', 'town', '310116000000', '第' || right(c.town9, 3) || '镇',
    ST_Multi(ST_Union(ST_MakeEnvelope(c.x, c.y, c.x + 1750, c.y + 1750, 4549))), true
FROM bench.community AS c GROUP BY c.town9;
INSERT INTO territory.unit (code, level, parent_code, name_zh, geom, is_generated)
SELECT
    c.code, 'community', c.town9 || '000', '第' || c.n || '社区',
    ST_Multi(ST_MakeEnvelope(c.x, c.y, c.x + 1750, c.y + 1750, 4549)), true
FROM bench.community AS c;

INSERT INTO territory.grid_cell (code, community_code, geom, is_generated)
SELECT
    c.code || '1' || lpad((k + 1)::text, 3, '0') || '00', c.code,
    ST_MakeEnvelope(c.x + (k % 10) * 175, c.y + (k / 10) * 175, c.x + (k % 10 + 1) * 175, c.y + (k / 10 + 1) * 175, 4549), true
FROM bench.community AS c CROSS JOIN generate_series(0, 99) AS k;

-- The cell of a point in metres of a community's corner.
CREATE FUNCTION bench.cell(community text, dx double precision, dy double precision) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT community || '1' || lpad((1 + floor(dx / 175) + 10 * floor(dy / 175))::integer::text, 3, '0') || '00'
$$;

WITH place AS (
    SELECT
        r.n, c.code, c.town9, c.x, c.y,
        CASE WHEN bench.part(r.n, 1) < 0.4 THEN 875 + 250 * sqrt(bench.part(r.n, 2)) * cos(2 * pi() * bench.part(r.n, 3))
            ELSE 1750 * bench.part(r.n, 2) END AS dx,
        CASE WHEN bench.part(r.n, 1) < 0.4 THEN 875 + 250 * sqrt(bench.part(r.n, 2)) * sin(2 * pi() * bench.part(r.n, 3))
            ELSE 1750 * bench.part(r.n, 3) END AS dy
    FROM generate_series(1, :sites) AS r (n) JOIN bench.community AS c ON c.n = r.n % :communities
)
INSERT INTO registry.site (id, local_id, name_zh, address, hazard_level, people, geom, cell_code, town_code, contact_name, contact_phone, is_generated)
OVERRIDING SYSTEM VALUE
SELECT
    p.n, 'B' || p.n,
    (ARRAY['永兴', '宏达', '鑫源', '恒泰', '瑞丰', '新港', '东升', '华盛'])[bench.one_of(p.n, 4, 8)]
        || (ARRAY['木业', '化工', '机械', '纺织', '食品', '物流', '餐饮', '五金', '塑料', '仓储'])[bench.one_of(p.n, 5, 10)]
        || lpad(p.n::text, 7, '0') || '号',
    '量测路' || p.n || '号', (ARRAY['blue', 'blue', 'blue', 'yellow', 'yellow', 'orange', 'red', NULL])[bench.one_of(p.n, 6, 8)],
    bench.one_of(p.n, 7, 300), ST_SetSRID(ST_MakePoint(p.x + p.dx, p.y + p.dy), 4549),
    bench.cell(p.code, p.dx, p.dy), p.town9 || '000', '联系人', '13800000000', true
FROM place AS p ORDER BY p.n;

WITH place AS (
    SELECT r.n, c.code, c.town9, c.x, c.y, 1750 * bench.part(r.n, 11) AS dx, 1750 * bench.part(r.n, 12) AS dy, 360 * bench.part(r.n, 13) AS facing
    FROM generate_series(1, :cameras) AS r (n) JOIN bench.community AS c ON c.n = r.n % :communities
)
INSERT INTO registry.camera (id, gb_id, name_zh, site_id, geom, azimuth_deg, sector, town_code, cell_code, snapshot_url, is_generated)
OVERRIDING SYSTEM VALUE
SELECT
    p.n, '31011600001310' || lpad(p.n::text, 6, '0'), '摄像机' || p.n, p.n, ST_SetSRID(ST_MakePoint(p.x + p.dx, p.y + p.dy), 4549), p.facing,
    ST_SetSRID(ST_MakePolygon(ST_MakeLine(ARRAY[
        ST_MakePoint(p.x + p.dx, p.y + p.dy),
        ST_MakePoint(p.x + p.dx + 100 * sin(radians(p.facing - 30)), p.y + p.dy + 100 * cos(radians(p.facing - 30))),
        ST_MakePoint(p.x + p.dx + 100 * sin(radians(p.facing + 30)), p.y + p.dy + 100 * cos(radians(p.facing + 30))),
        ST_MakePoint(p.x + p.dx, p.y + p.dy)
    ])), 4549),
    p.town9 || '000', bench.cell(p.code, p.dx, p.dy), 'http://camera.invalid/' || p.n, true
FROM place AS p ORDER BY p.n;
-- Triggers are off, and no building is known.
UPDATE registry.camera SET ground = sector;

-- Key risk areas of 20 m around sites.
INSERT INTO registry.key_risk_area (code, site_id, name_zh, kind, level, geom, town_code, is_generated)
SELECT
    'K' || n, s.id, '重点风险源区域' || n, 'other', (ARRAY['yellow', 'orange', 'red'])[bench.one_of(n, 8, 3)],
    ST_Expand(s.geom, 10), s.town_code, true
FROM generate_series(1, :areas) AS n JOIN registry.site AS s ON s.id = bench.one_of(n, 9, :sites);

INSERT INTO registry.camera_reach (camera_id, community_code)
SELECT DISTINCT k.id, c.community_code
FROM registry.camera AS k JOIN territory.grid_cell AS c ON c.geom && k.sector AND ST_Intersects(c.geom, k.sector);
INSERT INTO watch.camera_health (camera_id, observed, since, last_try_at, last_observed_at)
SELECT k.id, true, :as_of, :as_of, :as_of FROM registry.camera AS k;

-- Incident n, oldest first, at one of its community's cameras: within 60 m of it, and 7 of 10 at a site of the community.
-- Closed ones have no ellipse here (it would double the table and changes no ratio); the newest 300 are still open or quiet.
WITH numbered AS (
    SELECT
        n, bench.one_of(n, 20, :communities) - 1 AS community,
        :as_of - (:incidents - n + bench.part(n, 21)) * (interval '365 days' / :incidents) AS seen
    FROM generate_series(1, :incidents) AS n
),
placed AS (
    SELECT
        i.n, i.seen, c.code, c.town9, c.x, c.y, k.id AS camera_id,
        greatest(least(ST_X(k.geom) - c.x + 120 * (bench.part(i.n, 22) - 0.5), 1749.9), 0) AS dx,
        greatest(least(ST_Y(k.geom) - c.y + 120 * (bench.part(i.n, 23) - 0.5), 1749.9), 0) AS dy,
        CASE WHEN bench.part(i.n, 24) < 0.7
            THEN i.community + :communities * bench.one_of(i.n, 25, :sites / :communities - 1) END AS site_id
    FROM numbered AS i
    JOIN bench.community AS c ON c.n = i.community
    JOIN registry.camera AS k ON k.id = i.community + :communities * bench.one_of(i.n, 26, :cameras / :communities - 1)
)
INSERT INTO watch.incident (
    id, incident_no, class, camera_id, state, review, first_seen_at, last_seen_at, opened_at, closed_at, peak_score,
    observation_count, model_hash, box, geom, placing_method, semi_major_m, semi_minor_m, rotation_deg, cell_code, town_code, site_id,
    is_generated
)
OVERRIDING SYSTEM VALUE
SELECT
    md5('incident' || p.n)::uuid, p.n,
    (ARRAY['fire', 'smoke', 'smoke', 'welding_arc', 'welding_arc', 'sparks', 'sparks', 'sparks'])[bench.one_of(p.n, 27, 8)],
    p.camera_id, CASE WHEN p.n > :incidents - 120 THEN 'open' WHEN p.n > :incidents - 300 THEN 'quiet' ELSE 'closed' END,
    (ARRAY['unreviewed', 'confirmed', 'confirmed', 'false'])[bench.one_of(p.n, 28, 4)],
    p.seen, p.seen + interval '3 minutes', p.seen + interval '20 seconds',
    CASE WHEN p.n <= :incidents - 300 THEN p.seen + interval '20 minutes' END, 0.4 + 0.6 * bench.part(p.n, 29), 6, 'benchmark',
    '{100,100,180,190}', ST_SetSRID(ST_MakePoint(p.x + p.dx, p.y + p.dy), 4549), 'pose_ray', 12, 4, 30,
    bench.cell(p.code, p.dx, p.dy), p.town9 || '000', p.site_id, true
FROM placed AS p;

INSERT INTO watch.observation (id, camera_id, captured_at, received_at, observed, model_hash)
SELECT md5('observation' || i.incident_no)::uuid, i.camera_id, i.first_seen_at, i.first_seen_at, true, 'benchmark'
FROM watch.incident AS i WHERE i.incident_no > :incidents - :frames;
INSERT INTO watch.incident_observation (incident_id, observation_id, score, camera_id, captured_at)
SELECT i.id, md5('observation' || i.incident_no)::uuid, i.peak_score, i.camera_id, i.first_seen_at
FROM watch.incident AS i WHERE i.incident_no > :incidents - :frames;
INSERT INTO watch.evidence (id, incident_id, observation_id, sha256, path, bytes, width_px, height_px, captured_at, received_at, boxes)
SELECT
    md5('evidence' || i.incident_no)::uuid, i.id, md5('observation' || i.incident_no)::uuid, repeat('0', 64), 'none/' || i.incident_no, 1, 1280, 720,
    i.first_seen_at, i.first_seen_at, '[]'
FROM watch.incident AS i WHERE i.incident_no > :incidents - :frames;

INSERT INTO inspection.visit (site_id, kind, done_at, outcome, is_generated)
SELECT
    1 + n % :sites, (ARRAY['patrol', 'self_check', 'remote_check', 'admin_inspection'])[1 + n % 4],
    :as_of - bench.part(n, 30) * interval '365 days', 'ok', true
FROM generate_series(1, :visits) AS n;
INSERT INTO inspection.hazard (site_id, class, title_zh, found_at, found_by, state, is_generated)
SELECT bench.one_of(n, 31, :sites), 'general', '隐患', :as_of - bench.part(n, 32) * interval '90 days', 'patrol', 'found', true
FROM generate_series(1, :hazards) AS n;

SELECT setval(pg_get_serial_sequence('registry.site', 'id'), :sites), setval(pg_get_serial_sequence('registry.camera', 'id'), :cameras),
    setval(pg_get_serial_sequence('watch.incident', 'incident_no'), :incidents);
-- The triggers were off: versions of the layers, which they would have made.
INSERT INTO territory.layer_version (layer)
VALUES ('unit'), ('cell'), ('site'), ('camera'), ('incident'), ('duty') ON CONFLICT DO NOTHING;
