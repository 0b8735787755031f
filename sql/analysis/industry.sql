-- GB/T 4754-2017, sections (one letter) and divisions (letter and two digits), by their names in the standard. All 20 and 97
-- names were compared on 2026-11-28 with lists that others have published; the English ones are ours.
CREATE VIEW analysis.industry AS
SELECT i.code, left(i.code, 1) AS section, i.name_zh, i.name_en
FROM (VALUES
    ('A', '农、林、牧、渔业', 'Agriculture, forestry, husbandry and fishery'), ('A01', '农业', 'Agriculture'), ('A02', '林业', 'Forestry'),
    ('A03', '畜牧业', 'Animal husbandry'), ('A04', '渔业', 'Fishery'), ('A05', '农、林、牧、渔专业及辅助性活动', 'Support for agriculture, forestry and fishery'),
    ('B', '采矿业', 'Mining'), ('B06', '煤炭开采和洗选业', 'Coal mining and washing'), ('B07', '石油和天然气开采业', 'Oil and gas extraction'),
    ('B08', '黑色金属矿采选业', 'Ferrous ore mining'), ('B09', '有色金属矿采选业', 'Non-ferrous ore mining'), ('B10', '非金属矿采选业', 'Non-metal ore mining'),
    ('B11', '开采专业及辅助性活动', 'Support for mining'), ('B12', '其他采矿业', 'Other mining'),
    ('C', '制造业', 'Manufacturing'), ('C13', '农副食品加工业', 'Processing of farm food'), ('C14', '食品制造业', 'Food'),
    ('C15', '酒、饮料和精制茶制造业', 'Drinks and tea'), ('C16', '烟草制品业', 'Tobacco'), ('C17', '纺织业', 'Textiles'),
    ('C18', '纺织服装、服饰业', 'Clothing'), ('C19', '皮革、毛皮、羽毛及其制品和制鞋业', 'Leather, fur and shoes'),
    ('C20', '木材加工和木、竹、藤、棕、草制品业', 'Wood, bamboo and straw products'), ('C21', '家具制造业', 'Furniture'),
    ('C22', '造纸和纸制品业', 'Paper'), ('C23', '印刷和记录媒介复制业', 'Printing'), ('C24', '文教、工美、体育和娱乐用品制造业', 'Goods for culture, sport and play'),
    ('C25', '石油、煤炭及其他燃料加工业', 'Fuel processing'), ('C26', '化学原料和化学制品制造业', 'Chemicals'), ('C27', '医药制造业', 'Medicines'),
    ('C28', '化学纤维制造业', 'Chemical fibres'), ('C29', '橡胶和塑料制品业', 'Rubber and plastics'), ('C30', '非金属矿物制品业', 'Non-metal mineral products'),
    ('C31', '黑色金属冶炼和压延加工业', 'Iron and steel'), ('C32', '有色金属冶炼和压延加工业', 'Non-ferrous metals'), ('C33', '金属制品业', 'Metal products'),
    ('C34', '通用设备制造业', 'General machinery'), ('C35', '专用设备制造业', 'Special machinery'), ('C36', '汽车制造业', 'Motor vehicles'),
    ('C37', '铁路、船舶、航空航天和其他运输设备制造业', 'Railway, ships, aircraft and other transport equipment'), ('C38', '电气机械和器材制造业', 'Electrical machinery'),
    ('C39', '计算机、通信和其他电子设备制造业', 'Computers and electronics'), ('C40', '仪器仪表制造业', 'Instruments'), ('C41', '其他制造业', 'Other manufacturing'),
    ('C42', '废弃资源综合利用业', 'Recycling'), ('C43', '金属制品、机械和设备修理业', 'Repair of machinery'),
    ('D', '电力、热力、燃气及水生产和供应业', 'Electricity, heat, gas and water'), ('D44', '电力、热力生产和供应业', 'Electricity and heat'),
    ('D45', '燃气生产和供应业', 'Gas'), ('D46', '水的生产和供应业', 'Water'),
    ('E', '建筑业', 'Construction'), ('E47', '房屋建筑业', 'Buildings'), ('E48', '土木工程建筑业', 'Civil engineering'),
    ('E49', '建筑安装业', 'Installation'), ('E50', '建筑装饰、装修和其他建筑业', 'Decoration and other construction'),
    ('F', '批发和零售业', 'Wholesale and retail'), ('F51', '批发业', 'Wholesale'), ('F52', '零售业', 'Retail'),
    ('G', '交通运输、仓储和邮政业', 'Transport, storage and post'), ('G53', '铁路运输业', 'Railways'), ('G54', '道路运输业', 'Road transport'),
    ('G55', '水上运输业', 'Water transport'), ('G56', '航空运输业', 'Air transport'), ('G57', '管道运输业', 'Pipelines'),
    ('G58', '多式联运和运输代理业', 'Multimodal transport and agents'), ('G59', '装卸搬运和仓储业', 'Handling and storage'), ('G60', '邮政业', 'Post'),
    ('H', '住宿和餐饮业', 'Lodging and catering'), ('H61', '住宿业', 'Lodging'), ('H62', '餐饮业', 'Catering'),
    ('I', '信息传输、软件和信息技术服务业', 'Information and software'), ('I63', '电信、广播电视和卫星传输服务', 'Telecommunications'),
    ('I64', '互联网和相关服务', 'Internet services'), ('I65', '软件和信息技术服务业', 'Software'),
    ('J', '金融业', 'Finance'), ('J66', '货币金融服务', 'Banking'), ('J67', '资本市场服务', 'Capital markets'), ('J68', '保险业', 'Insurance'), ('J69', '其他金融业', 'Other finance'),
    ('K', '房地产业', 'Real estate'), ('K70', '房地产业', 'Real estate'),
    ('L', '租赁和商务服务业', 'Leasing and business services'), ('L71', '租赁业', 'Leasing'), ('L72', '商务服务业', 'Business services'),
    ('M', '科学研究和技术服务业', 'Research and technical services'), ('M73', '研究和试验发展', 'Research'), ('M74', '专业技术服务业', 'Technical services'),
    ('M75', '科技推广和应用服务业', 'Spread of technology'),
    ('N', '水利、环境和公共设施管理业', 'Water, environment and public facilities'), ('N76', '水利管理业', 'Water management'),
    ('N77', '生态保护和环境治理业', 'Environment'), ('N78', '公共设施管理业', 'Public facilities'), ('N79', '土地管理业', 'Land management'),
    ('O', '居民服务、修理和其他服务业', 'Services to residents, repair'), ('O80', '居民服务业', 'Services to residents'),
    ('O81', '机动车、电子产品和日用产品修理业', 'Repair of vehicles and goods'), ('O82', '其他服务业', 'Other services'),
    ('P', '教育', 'Education'), ('P83', '教育', 'Education'),
    ('Q', '卫生和社会工作', 'Health and social work'), ('Q84', '卫生', 'Health'), ('Q85', '社会工作', 'Social work'),
    ('R', '文化、体育和娱乐业', 'Culture, sport and entertainment'), ('R86', '新闻和出版业', 'News and publishing'),
    ('R87', '广播、电视、电影和录音制作业', 'Broadcasting, film and sound'), ('R88', '文化艺术业', 'Arts'), ('R89', '体育', 'Sport'), ('R90', '娱乐业', 'Entertainment'),
    ('S', '公共管理、社会保障和社会组织', 'Public administration and organisations'), ('S91', '中国共产党机关', 'Party organs'), ('S92', '国家机构', 'State organs'),
    ('S93', '人民政协、民主党派', 'CPPCC and democratic parties'), ('S94', '社会保障', 'Social security'),
    ('S95', '群众团体、社会团体和其他成员组织', 'Mass and social organisations'), ('S96', '基层群众自治组织及其他组织', 'Local self-government'),
    ('T', '国际组织', 'International organisations'), ('T97', '国际组织', 'International organisations')
) AS i (code, name_zh, name_en);
COMMENT ON VIEW analysis.industry IS '国民经济行业分类（GB/T 4754-2017）门类与大类; industries: sections and divisions of GB/T 4754-2017.';

-- What a site does, as it can be grouped: its code of GB/T 4754 (digits alone get the letter of their section), else the last
-- two characters of its name without brackets and legal form (木业 of 恒达木业有限公司).
CREATE FUNCTION analysis.industry_of(gbt4754 text, name_zh text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN upper(btrim(gbt4754)) ~ '^[A-T][0-9]{2,4}$' THEN upper(btrim(gbt4754))
        WHEN btrim(gbt4754) ~ '^[0-9]{2,4}$' THEN
            substr('AABBCCDDEEFFGGHHIIJJKKLLMMNNOOPPQQRRSSTT', 2 * (
                SELECT count(*)::integer FROM unnest(ARRAY[1, 6, 13, 44, 47, 51, 53, 61, 63, 66, 70, 71, 73, 76, 80, 83, 84, 86, 91, 97]) AS f (first)
                WHERE f.first <= left(btrim(gbt4754), 2)::integer
            ), 1) || btrim(gbt4754)
        ELSE right(regexp_replace(
            regexp_replace(coalesce(name_zh, ''), '[（(][^（）()]*[)）]', '', 'g'),
            '(有限责任公司|股份有限公司|有限公司|分公司|公司|集团|合作社|经营部|门市部|工作室|[[:space:]])+$', ''
        ), 2)
    END
$$;
COMMENT ON FUNCTION analysis.industry_of IS '场所的行业：行业代码，没有代码时为名称末两字; the industry of a site: its code, else the last two characters of its name.';

-- Pairs of neighbouring characters: how Chinese words are compared without a dictionary.
CREATE FUNCTION analysis.bigrams(phrase text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(DISTINCT substr(w.word, n, 2)), '{}')
    FROM regexp_split_to_table(lower(phrase), '[^0-9a-z一-龥]+') AS w (word) CROSS JOIN LATERAL generate_series(1, length(w.word) - 1) AS n
$$;
COMMENT ON FUNCTION analysis.bigrams IS '相邻两字的集合; the set of pairs of neighbouring characters of a text.';
