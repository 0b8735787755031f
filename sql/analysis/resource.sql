CREATE VIEW analysis.resource AS
SELECT
    r.id, r.local_id, r.kind, r.name_zh, r.phone, r.capacity,
    r.cell_code, r.town_code, t.name_zh AS town_zh, t.name_en AS town_en, r.is_generated, r.geom, r.geom_3857
FROM registry.resource AS r
LEFT JOIN territory.unit AS t ON t.code = r.town_code;
COMMENT ON VIEW analysis.resource IS '应急资源：消防站、消火栓、物资库、避难场所、医院; what helps in an emergency.';
COMMENT ON COLUMN analysis.resource.kind IS 'fire_station | micro_fire_station | hydrant | water_source | warehouse | shelter | hospital | rescue_team | other.';
