"""Invented names. No person, firm or village here is meant to be a real one; firms say 样例 (sample) in their name."""

import numpy as np
from numpy.typing import NDArray
from pypinyin import lazy_pinyin

from etl.sample_city import facts

_FIRST = "新东南西北金永长和太兴安万民中光平红建前星联高春华明友三双龙凤朱杨沈陆姚李桥胡黄蒋"
_SECOND = "丰联建桥浜泾港塘圩溇星光华农利民安宁兴胜义庄埭堰溪圣漕渡湾坊墩荡潭湖浦津"
_STREET = ("湖滨", "育才", "文苑", "滨河", "公园", "学府", "康城", "锦绣", "星苑", "海棠", "紫荆", "梅园", "合生", "卫零", "柳城", "桂园", "东礁", "临潮", "山鑫", "海汇")  # fmt: skip
SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许邓冯韩曹曾彭萧蔡潘田董袁于余叶蒋杜苏魏程吕丁沈任姚卢傅钟姜崔谭廖范汪陆金石戴贾韦夏邱方侯邹熊孟秦白江阎薛尹"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂英华玉萍红建国文斌晓东海燕宇浩然俊辉志鹏雪梅婷倩颖佳慧宁波成龙振凯立新春兰秀珍"


def pinyin(text: str) -> str:
    """Chinese text as one capitalised word of pinyin."""
    return "".join(lazy_pinyin(text)).capitalize()


def communities(
    town_of: NDArray[np.int64], urban: NDArray[np.float64], rng: np.random.Generator
) -> tuple[list[str], list[tuple[str, str]]]:
    """12-digit code, and (Chinese, English) name of each community: 居委 (001 on) where built-up, 村 (201 on) elsewhere.

    town_of: index into facts.TOWNS per community; urban: its mean urbanity, 0 to 1.
    """
    codes: list[str] = [""] * len(town_of)
    names: list[tuple[str, str]] = [("", "")] * len(town_of)
    for town in np.unique(town_of):
        mine = np.flatnonzero(town_of == town)
        # The most built-up third of a town's communities are residents' committees, at least one.
        ranked = mine[np.argsort(-urban[mine], kind="stable")]
        urban_count = max(1, round(len(mine) / 3))
        streets = rng.permutation(len(_STREET))
        used: set[str] = set()
        for position, index in enumerate(ranked.tolist()):
            if position < urban_count:
                word, number = _STREET[streets[position % len(_STREET)]], position + 1
                if position >= len(_STREET):
                    word += "东西南北中"[position // len(_STREET) % 5]
                zh, en = f"{word}居委", f"{pinyin(word)} Residents' Committee"
            else:
                number = 201 + position - urban_count
                word = ""
                while not word or word in used:
                    word = str(rng.choice(list(_FIRST))) + str(rng.choice(list(_SECOND)))
                zh, en = f"{word}村", f"{pinyin(word)} Village"
            used.add(word)
            codes[index] = f"{facts.TOWNS[town].code[:9]}{number:03d}"
            names[index] = (zh, en)
    return codes, names


def people(count: int, rng: np.random.Generator) -> list[str]:
    """Names of invented people."""
    family = rng.choice(list(SURNAMES), count)
    given = rng.choice(list(GIVEN), (count, 2))
    two = rng.random(count) < 0.75
    return [f + a + (b if t else "") for f, (a, b), t in zip(family, given, two, strict=True)]


def duty_phone(number: int) -> str:
    """A number that no exchange can connect (021-0…), so that nobody is rung by mistake."""
    return f"021-0{number // 10000 % 1000:03d}-{number % 10000:04d}"
