"""The house keeps its own rules: arrows point down, SQL lives in sql/, nothing names an outside address."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOOR = {"geoapp": 1, "etl": 2, "layers": 2, "detection": 2, "dashboards": 3}
MODULES = [p for room in FLOOR for p in sorted((ROOT / room).rglob("*.py"))]


def imported_rooms(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names & set(FLOOR)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    upward = {other for other in imported_rooms(path) - {room} if FLOOR[other] >= FLOOR[room]}
    assert not upward, f"{path.relative_to(ROOT)} imports {upward}: arrows point down only"


OUTSIDE = re.compile(r"https?://(?!127\.0\.0\.1|localhost|\{|\$|<)([a-z0-9.-]+\.[a-z]{2,})", re.IGNORECASE)
# Names of documents and of the source page; none of them is fetched.
SAID_ONLY = {
    "github.com",
    "www.w3.org",
    "example.com",
    "example.org",
    "www.opengis.net",
    # Names of XML spaces in ONVIF messages.
    "www.onvif.org",
    "docs.oasis-open.org",
    "fsf.org",
    "www.gnu.org",
}


def test_no_outside_address_in_code() -> None:
    found = []
    for path in [
        *MODULES,
        *(ROOT / "sql").rglob("*.sql"),
        *(ROOT / "dashboards" / "assets").glob("*.[jc]s*"),
    ]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            found += [
                f"{path.relative_to(ROOT)}:{number} {host}"
                for host in OUTSIDE.findall(line)
                if host not in SAID_ONLY
            ]
    assert not found


def test_no_file_is_heavier_than_two_megabytes_but_the_weights() -> None:
    import subprocess

    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    heavy = [
        name
        for name in listed.decode().split("\0")
        if name
        and (ROOT / name).exists()
        and (ROOT / name).stat().st_size > 2_000_000
        and not name.startswith("detection/weights/")
    ]
    assert not heavy
