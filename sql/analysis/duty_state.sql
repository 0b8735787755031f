-- The words of duty, gravest first: what analysis.duty_lead.status, duty_site.status, duty_gap.kind, duty_cell.state and
-- duty_chain.state may say, and what screens and legends call it.
CREATE VIEW analysis.duty_state AS
SELECT * FROM (VALUES
    (1, 'missing', 'lead', '无牵头部门', 'no lead department', '没有任何部门牵头，或场所没有类型', 'no department leads, or the site has no place type'),
    (2, 'two_leads', 'lead', '两个牵头部门', 'two leads', '两个以上部门同时牵头', 'two or more departments lead'),
    (3, 'disputed', 'lead', '有争议', 'disputed', '部门之间有争议，未定', 'departments dispute it, nothing is settled'),
    (4, 'proposed', 'lead', '待确认', 'not confirmed', '只有建议，无人确认', 'only proposed, nobody has confirmed it'),
    (5, 'no_person', 'lead', '无责任人', 'no named person', '部门已定，没有具名责任人', 'the department is settled, no person is named'),
    (6, 'no_grid_worker', 'cell', '无网格员', 'no grid worker', '网格没有在任网格员', 'the cell has no grid worker in office'),
    (7, 'no_town_person', 'unit', '乡镇（区）无负责人', 'no leader of the town or district', '镇或区没有在任负责人', 'the town or district has no leader or officer in office'),
    (8, 'confirmed', 'lead', '已明确', 'settled', '唯一牵头部门和具名责任人', 'one department and a named person')
) AS s (rank, state, of, name_zh, name_en, meaning_zh, meaning_en);
COMMENT ON VIEW analysis.duty_state IS '责任状态词表，最重在前; the words of duty, gravest first: state, what it is said of (lead, cell, unit), names and meaning.';
