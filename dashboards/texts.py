"""Every text of the screens, in Chinese and English: one place, `texts.json`."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Literal

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")
_FILE = Path(__file__).parent / "texts.json"


@lru_cache(maxsize=1)
def catalogue() -> dict[str, dict[str, str]]:
    """Key to {"zh", "en"}."""
    loaded: dict[str, dict[str, str]] = json.loads(_FILE.read_text(encoding="utf-8"))
    return loaded


def t(key: str, lang: Language, **fields: object) -> str:
    """The text of `key`, with {fields} filled in. Raises KeyError for a key that is not in the catalogue."""
    return catalogue()[key][lang].format(**fields) if fields else catalogue()[key][lang]


def word(group: str, value: object, lang: Language) -> str:
    """The text of `group.value`; the value itself where the catalogue does not know it (a reason of a new camera)."""
    entry = catalogue().get(f"{group}.{value}")
    return str(value) if entry is None else entry[lang]


def group(prefix: str, lang: Language) -> dict[str, str]:
    """All texts that start with `prefix.`, keyed by the rest: what a script in the browser needs."""
    return {
        k.removeprefix(f"{prefix}."): v[lang] for k, v in catalogue().items() if k.startswith(f"{prefix}.")
    }


def either(row: dict[str, object], lang: Language, stem: str = "name") -> str:
    """`<stem>_zh` or `<stem>_en` of a row, the Chinese one where there is no English one."""
    return str((row.get(f"{stem}_en") if lang == "en" else None) or row.get(f"{stem}_zh") or "")
