-- What a unit is put together from at a level (WKB, EPSG:3857): of a county its towns' outlines, of any other its cells'.
SELECT ST_AsBinary(s.geom_3857) AS shape FROM territory.unit_simplified AS s
WHERE %(level_of_unit)s = 'county' AND s.level = %(level)s AND s.code <> %(code)s AND starts_with(s.code, %(prefix)s) AND right(s.code, 3) = '000'
UNION ALL
SELECT ST_AsBinary(s.geom_3857) FROM territory.cell_simplified AS s
WHERE %(level_of_unit)s <> 'county' AND s.level = %(level)s AND s.town_code = left(%(code)s, 9) || '000' AND starts_with(s.code, %(prefix)s)
