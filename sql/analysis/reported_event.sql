CREATE VIEW analysis.reported_event AS
SELECT
    e.id, e.local_id, e.kind, e.title, e.happened_at, e.severity, e.source,
    e.cell_code, e.town_code, t.name_zh AS town_zh, t.name_en AS town_en, e.is_generated, e.geom, e.geom_3857
FROM watch.reported_event AS e
LEFT JOIN territory.unit AS t ON t.code = e.town_code;
COMMENT ON VIEW analysis.reported_event IS '历史事件（其他系统记录的火灾、报警等）; dated points that another system recorded, not incidents of the watch.';
COMMENT ON COLUMN analysis.reported_event.severity IS 'general | larger | major | extraordinary; NULL = not said.';
