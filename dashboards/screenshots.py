"""The README's pictures, taken from a running GeoApp over the sample city."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoapp.errors import Refused

CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDE, PHONE = (1440, 900), (390, 844)


@dataclass(frozen=True)
class Picture:
    """One picture: file stem, address, size in pixels, what is done before it is taken, and as whom ("" = nobody yet)."""

    name: str
    path: str
    size: tuple[int, int] = WIDE
    act: str = ""
    role: str = "committee"


PICTURES = (
    Picture("overview-risk-zh", "/?lang=zh&theme=light&lens=risk"),
    Picture("overview-coverage-zh", "/?lang=zh&theme=light&lens=coverage"),
    Picture("overview-duty-zh", "/?lang=zh&theme=light&lens=duty", act="towns"),
    Picture("overview-risk-en-dark", "/?lang=en&theme=dark&lens=risk", act="cell"),
    Picture("town-coverage-en", "/?lang=en&theme=light&lens=coverage&z=14&lat=30.806&lon=121.281"),
    Picture("incident-zh", "/?lang=zh&theme=light&lens=risk", act="incident"),
    Picture("incident-en-dark", "/?lang=en&theme=dark&lens=risk", act="incident"),
    Picture("cameras-zh", "/cameras?lang=zh&theme=light"),
    Picture("matrix-en", "/matrix?lang=en&theme=light"),
    Picture("sign-in-zh", "/signin?lang=zh&theme=light", role=""),
    Picture("sign-in-en-dark", "/signin?lang=en&theme=dark", role=""),
    Picture("town-officer-zh", "/?lang=zh&theme=light&lens=risk", act="incident", role="duty_officer"),
    Picture("accounts-zh", "/accounts?lang=zh&theme=light", role="admin"),
    Picture("audit-en", "/audit?lang=en&theme=light", role="admin"),
    Picture("phone-zh", "/?lang=zh&theme=light&lens=risk", PHONE),
    Picture("phone-incident-en", "/?lang=en&theme=dark&lens=risk", PHONE, "incident"),
)


def take(base_url: str, out_dir: Path, only: set[str] | None = None) -> list[Path]:
    """Takes the pictures (or those named in `only`) and returns their files; waits for a lead where one is shown.

    Raises Refused when there is no Chromium, no Playwright, or GeoApp does not answer at `base_url`.
    """
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise Refused("没有 Playwright / Playwright is missing: pip install -e '.[dev]'.") from None
    program = next((p for p in CHROMIUM if Path(p).exists()), None)
    if program is None:
        raise Refused("没有 Chromium / Chromium is missing: sudo apt-get install -y chromium.")
    out_dir.mkdir(parents=True, exist_ok=True)
    made = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            for picture in PICTURES:
                if only is None or picture.name in only:
                    made.append(_one(browser, base_url, out_dir, picture))
        except Error as fault:
            raise Refused(f"{base_url}: {str(fault).splitlines()[0]}") from None
        finally:
            browser.close()
    return made


def _one(browser: Any, base_url: str, out_dir: Path, picture: Picture) -> Path:
    width, height = picture.size
    page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=1)
    if picture.role:
        _sign_in(page, base_url, picture.role)
    page.goto(base_url + picture.path)
    if picture.path.startswith("/?"):
        _until(page, "document.documentElement.dataset.map === 'ready'", 40)
        _until(page, "document.documentElement.dataset.lens && document.querySelector('[data-figure]')", 40)
        _until(page, "Object.values(geoapp.city.tiles.cell._tiles).every(t => t.loaded)", 40)
    elif picture.role:
        _until(page, "document.querySelector('main table, .table-card table')", 40)
    if picture.act == "incident":
        chosen = "document.querySelector('.incident-row.open, .incident-row.quiet')"
        _until(page, chosen, 90)
        page.evaluate(f"{chosen}.click()")
        _until(page, "document.querySelector('#drawer .frame img')?.naturalWidth > 0", 20)
    elif picture.act == "cell":
        page.evaluate(
            """async () => {
              const lens = await (await fetch('/lens/risk.json')).json();
              const reds = Object.keys(lens.classes).filter(n => ['red', 'orange'].includes(lens.classes[n]));
              const best = Number(reds.sort((a, b) => lens.scores[b] - lens.scores[a])[0]);
              let code = null;
              geoapp.city.tiles.cell.eachInView(f => { if (f.id === best) code = f.properties.code; });
              if (code) geoapp.city.select('cell', code, {fly: false});
            }"""
        )
        _until(page, "document.querySelector('#drawer [data-score]')", 20)
    elif picture.act == "towns":
        page.locator(".rail-tabs [role=tab]").nth(1).click()
        _until(page, "document.querySelector('.town-list tbody tr')", 20)
    page.wait_for_timeout(1800)
    path = out_dir / f"{picture.name}.png"
    page.screenshot(path=str(path), animations="disabled", timeout=90_000)
    page.close()
    return path


def _sign_in(page: Any, base_url: str, role: str) -> None:
    """As the demo's account of a role, by its button."""
    page.goto(f"{base_url}/signin")
    button = page.locator(f"form[action^='/signin/demo'] button[value='{role}']")
    if button.count() == 0:
        raise Refused(
            f"{base_url}/signin 没有演示登录 / offers no demo sign-in: the pictures are taken from a running geoapp demo."
        )
    button.first.click()
    page.wait_for_url(lambda url: "/signin" not in url)


def _until(page: Any, expression: str, seconds: float) -> None:
    """Polls in the page; the page's content policy forbids Playwright's own polling, which evaluates strings."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(f"Boolean({expression})"):
        if time.monotonic() > deadline:
            raise Refused(
                f"{page.url}: 等了 {seconds:.0f} 秒仍未出现 / did not appear within {seconds:.0f} s: {expression}"
            )
        page.wait_for_timeout(100)
