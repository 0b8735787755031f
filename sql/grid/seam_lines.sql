-- Lines that a cell's border may follow: roads, railways and rivers, and the shores of water that no river line runs through.
SELECT ST_AsBinary(CASE WHEN ST_Dimension(f.geom) = 2 THEN ST_Boundary(f.geom) ELSE f.geom END) AS wkb
FROM territory.base_feature AS f
WHERE
    f.kind = ANY (%(kinds)s)
    OR f.kind = 'water' AND NOT EXISTS (
        SELECT FROM territory.base_feature AS r WHERE r.kind = 'river' AND ST_Intersects(r.geom, f.geom)
    )
ORDER BY f.id;
