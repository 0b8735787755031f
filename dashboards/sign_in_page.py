"""How the pages look that stand before the gate: sign-in and first start. Plain HTML with its own style, no script.

Everything that comes from outside goes through `html.escape`; the only assets are in the page itself, because a stranger
gets no other file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from random import Random
from typing import Any
from urllib.parse import quote

from dashboards.texts import Language, t, word
from geoapp.settings import settings


@dataclass(frozen=True)
class Look:
    """In which language and colours a page is shown, and of which city (row of access.city_sign(), None = none yet)."""

    lang: Language
    theme: str
    city: dict[str, Any] | None

    @classmethod
    def of(cls, lang: str | None, theme: str | None, city: dict[str, Any] | None) -> "Look":
        """From the address; anything unknown is the default."""
        return cls("en" if lang == "en" else "zh", theme if theme in ("light", "dark") else "", city)

    @property
    def query(self) -> str:
        """`lang=en&theme=dark`, for links; only fixed words."""
        return f"lang={self.lang}" + (f"&theme={self.theme}" if self.theme else "")

    @property
    def place(self) -> str:
        """The city's name, plain text; "" where there is none."""
        return "" if self.city is None else str(self.city["name_en" if self.lang == "en" else "name_zh"])


@dataclass(frozen=True)
class DemoRole:
    """A button of the demo: a contract role, who that is, and for which ground (plain text)."""

    role: str
    name: str
    area: str


def sign_in_page(
    look: Look,
    *,
    form_token: str,
    to: str,
    error: str = "",
    demo: Sequence[DemoRole] = (),
    oidc: str = "",
    oidc_href: str = "",
    signed_in_as: str = "",
    csrf: str = "",
) -> str:
    """The page /signin. to: path to go on to; error: a sentence of ours; oidc: the provider's name, "" = not offered."""
    lang = look.lang
    parts = [f"<h1>{_t('signin.title', lang)}</h1>"]
    if signed_in_as:
        parts.append(
            f'<div class="is-in"><p>{escape(t("signin.signed_in", lang, name=signed_in_as))}</p>'
            f'<a class="button" href="{escape(to)}">{_t("signin.go_on", lang)}</a>'
            f'<form method="post" action="/signout"><input type="hidden" name="csrf" value="{escape(csrf)}">'
            f'<button class="quiet">{_t("access.sign_out", lang)}</button></form></div>'
        )
    parts.append(_alert(error))
    hidden = _hidden(form_token=form_token, next=to, lang=lang, theme=look.theme)
    form = (
        f'<form method="post" action="/signin" class="fields">{hidden}'
        + _field("login", t("signin.login", lang), autocomplete="username", plain=True, autofocus=not demo)
        + _field("password", t("signin.password", lang), kind="password", autocomplete="current-password")
        + f'<button class="button">{_t("signin.enter", lang)}</button></form>'
    )
    if oidc:
        form += (
            f'<p class="or"><span>{_t("signin.or", lang)}</span></p>'
            f'<a class="button second" href="{escape(oidc_href)}">{escape(t("signin.oidc", lang, name=oidc))}</a>'
        )
    if demo:
        buttons = "".join(
            f'<button name="role" value="{escape(d.role)}"><b>{escape(word("role", d.role, lang))}</b>'
            f"<small>{escape(d.area)}</small></button>"
            for d in demo
        )
        parts.append(
            f'<section class="demo"><h2>{_t("signin.demo_title", lang)}</h2><p>{_t("signin.demo_note", lang)}</p>'
            f'<form method="post" action="/signin/demo">{hidden}<div class="roles">{buttons}</div></form></section>'
            f"<details{' open' if error else ''}><summary>{_t('signin.demo_other', lang)}</summary>{form}</details>"
        )
    else:
        parts.append(form)
    parts.append(f'<p class="hint">{_t("signin.help", lang)} {_t("signin.recorded", lang)}</p>')
    return _page(look, t("signin.title", lang), "/signin", to, "".join(parts))


def first_start_page(
    look: Look, *, form_token: str, problems: Sequence[str] = (), login: str = "", name: str = ""
) -> str:
    """The page /first-start; problems: sentences of ours; login, name: as typed, without the code and the passwords."""
    lang = look.lang
    body = (
        f'<h1>{_t("first.title", lang)}</h1><p class="lead">{_t("first.note", lang)}</p>{_alert(*problems)}'
        '<form method="post" action="/first-start" class="fields">'
        + _hidden(form_token=form_token, lang=lang, theme=look.theme)
        + _field("code", t("first.code", lang), autocomplete="one-time-code", plain=True, autofocus=True)
        + _field(
            "login", t("signin.login", lang), autocomplete="username", plain=True, value=login,
            hint=t("first.login_hint", lang),
        )
        + _field("name", t("first.name", lang), autocomplete="name", value=name)
        + _field(
            "password", t("signin.password", lang), kind="password", autocomplete="new-password",
            hint=t("first.password_hint", lang),
        )
        + _field("again", t("first.password_again", lang), kind="password", autocomplete="new-password")
        + f'<button class="button">{_t("first.make", lang)}</button></form>'
    )  # fmt: skip
    return _page(look, t("first.title", lang), "/first-start", "/", body)


def _t(key: str, lang: Language) -> str:
    return escape(t(key, lang))


def _alert(*sentences: str) -> str:
    """An error that a screen reader says at once."""
    said = [s for s in sentences if s]
    return (
        f'<div class="alert" role="alert" aria-live="assertive">{"<br>".join(map(escape, said))}</div>'
        if said
        else ""
    )


def _hidden(**values: str) -> str:
    return "".join(
        f'<input type="hidden" name="{name}" value="{escape(value)}">'
        for name, value in values.items()
        if value
    )


def _field(
    name: str,
    label: str,
    *,
    kind: str = "text",
    autocomplete: str = "off",
    plain: bool = False,
    autofocus: bool = False,
    value: str = "",
    hint: str = "",
) -> str:
    """A labelled input; plain: no capitals and no spelling help."""
    extra = ' autocapitalize="none" spellcheck="false"' if plain else ""
    extra += " autofocus" if autofocus else ""
    extra += f' value="{escape(value)}"' if value else ""
    extra += f' aria-describedby="{name}-hint"' if hint else ""
    note = f'<small id="{name}-hint">{escape(hint)}</small>' if hint else ""
    return (
        f'<div class="field"><label for="{name}">{escape(label)}</label><input id="{name}" name="{name}" type="{kind}"'
        f' autocomplete="{autocomplete}" maxlength="512" required{extra}>{note}</div>'
    )


def _page(look: Look, title: str, path: str, to: str, body: str) -> str:
    lang = look.lang
    other = "zh" if lang == "en" else "en"
    away = f"?lang={other}" + (f"&amp;theme={look.theme}" if look.theme else "")
    away += f"&amp;next={escape(quote(to, safe='/'))}" if to != "/" else ""
    heading = f"<b>{escape(look.place)}</b><span>{_t('app.title', lang)}</span>"
    generated = look.city is not None and look.city["is_generated"]
    flag = f'<span class="flag">{_t("app.sample", lang)}</span>' if generated else ""
    questions = "".join(
        f'<li class="{kind}">{_t(f"question.{kind}", lang)}</li>' for kind in ("risk", "gap", "duty")
    )
    return (
        f'<!doctype html><html lang="{"en" if lang == "en" else "zh-CN"}" data-theme="{look.theme}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f'<link rel="icon" href="data:image/svg+xml,{quote(_ICON)}">'
        f"<title>{escape(title)} · {escape(look.place)} GeoApp</title><style>{_STYLE}</style></head><body>"
        f'<div class="picture"><div class="brand"><span class="mark" aria-hidden="true"></span><p>{heading}</p></div>'
        f'{_drawing(t("signin.picture", lang))}<ul class="questions">{questions}</ul></div>'
        f'<div class="side"><header>{flag}<a class="lang" lang="{other}" hreflang="{other}" href="{path}{away}">'
        f"{_t('app.language', lang)}</a></header><main>{body}</main>"
        f"<footer>GeoApp · {_t('app.licence', lang)} · "
        f'<a href="{escape(settings().source_url)}" rel="noopener">{_t("app.source", lang)}</a></footer></div></body></html>'
    )


# -- the drawing: a district of cells, most of them calm ---------------------------------------------------------

_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 2"><path fill="#fbe05c" d="M0 0h1v1H0z"/>'
    '<path fill="#e8743b" d="M1 0h1v1H1z"/><path fill="#5aa9e6" d="M0 1h1v1H0z"/><path fill="#9b1b1e" d="M1 1h1v1H1z"/></svg>'
)
_ACROSS, _DOWN, _SIZE = 15, 13, 44.0
_RISK = {(4, 4): "red", (5, 4): "orange", (4, 5): "orange", (10, 3): "yellow", (9, 8): "orange", (10, 8): "yellow", (3, 9): "yellow", (6, 5): "yellow"}  # fmt: skip
_UNSEEN = {(7, 9), (8, 9), (8, 10), (11, 5)}
_TOWNS = ((0, 0, 6, 6), (6, 0, 15, 5), (0, 5, 7, 13), (7, 5, 15, 13))


def _corners() -> dict[tuple[int, int], tuple[float, float]]:
    """Corners of the cells, shifted a little (the same every time), so that neighbours share them exactly."""
    shift = Random(310116)
    return {
        (x, y): (x * _SIZE + shift.uniform(-11, 11), y * _SIZE + shift.uniform(-11, 11))
        for y in range(_DOWN + 1)
        for x in range(_ACROSS + 1)
    }


def _inside(x: int, y: int) -> bool:
    """Whether a cell is of the district: a coast in the south-east, hills cut off in the north-west."""
    on_paper = 0 <= x < _ACROSS and 0 <= y < _DOWN
    return on_paper and 3.2 <= x + 1.1 * y <= 22.5 and (x - 7) ** 2 / 58 + (y - 6) ** 2 / 44 < 1


def _draw() -> str:
    at = _corners()
    cells = [(x, y) for y in range(_DOWN) for x in range(_ACROSS) if _inside(x, y)]
    calm = Random(4549)
    shapes, edges = [], []
    for x, y in cells:
        ring = [at[x, y], at[x + 1, y], at[x + 1, y + 1], at[x, y + 1]]
        path = "M" + "L".join(f"{px:.0f} {py:.0f}" for px, py in ring) + "Z"
        kind = _RISK.get((x, y), "unseen" if (x, y) in _UNSEEN else f"calm{calm.randrange(4)}")
        shapes.append(f'<path class="{kind}" d="{path}"/>')
        for (nx, ny), (a, b) in {
            (x, y - 1): ((x, y), (x + 1, y)), (x + 1, y): ((x + 1, y), (x + 1, y + 1)),
            (x, y + 1): ((x + 1, y + 1), (x, y + 1)), (x - 1, y): ((x, y + 1), (x, y)),
        }.items():  # fmt: skip
            if not _inside(nx, ny):
                edges.append(("rim", a, b))
            elif _town(x, y) < _town(nx, ny):
                edges.append(("town", a, b))
    lines = {
        kind: "".join(
            f"M{at[a][0]:.0f} {at[a][1]:.0f}L{at[b][0]:.0f} {at[b][1]:.0f}" for k, a, b in edges if k == kind
        )
        for kind in ("town", "rim")
    }
    drawn = "".join(f'<path class="{kind}" d="{d}"/>' for kind, d in lines.items())
    eyes = "".join(
        f'<g transform="translate({x} {y}) rotate({turn})"><path class="sector" d="M0 0L92 -34A98 98 0 0 1 92 34Z"/><circle r="4.5"/></g>'
        for x, y, turn in ((262, 150, 148), (420, 330, 35), (200, 400, -70))
    )
    return (
        '<defs><pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<path d="M0 0V7" stroke="#9fb4c2" stroke-width="2"/></pattern></defs>'
        f"{''.join(shapes)}{drawn}<g class='eyes'>{eyes}</g>"
    )


def _town(x: int, y: int) -> int:
    return next(
        n for n, (left, top, right, under) in enumerate(_TOWNS) if left <= x < right and top <= y < under
    )


_DRAWN = _draw()


def _drawing(title: str) -> str:
    return (
        f'<svg class="district" viewBox="-20 -20 {_ACROSS * _SIZE + 40:.0f} {_DOWN * _SIZE + 40:.0f}" role="img" '
        f'aria-label="{escape(title)}">{_DRAWN}</svg>'
    )


_STYLE = """
:root{--bg:#f4f7f8;--panel:#fff;--line:#d5dde3;--text:#18222c;--soft:#4f5e6b;--accent:#0b6e99;--on:#fff;--raised:#f2f6f8;--alarm:#a51d17;--alarm-bg:#fcebea;--yellow:#7d6500}
@media(prefers-color-scheme:dark){:root:not([data-theme=light]){--bg:#0e1318;--panel:#161d24;--line:#303c47;--text:#e6ecf1;--soft:#a9b7c3;--accent:#56b4dd;--on:#06202c;--raised:#1c252d;--alarm:#ff8d86;--alarm-bg:#331716;--yellow:#f0d65c;color-scheme:dark}}
:root[data-theme=dark]{--bg:#0e1318;--panel:#161d24;--line:#303c47;--text:#e6ecf1;--soft:#a9b7c3;--accent:#56b4dd;--on:#06202c;--raised:#1c252d;--alarm:#ff8d86;--alarm-bg:#331716;--yellow:#f0d65c;color-scheme:dark}
*{box-sizing:border-box}
body{margin:0;min-height:100dvh;display:grid;grid-template-columns:minmax(0,1fr) minmax(440px,38vw);background:var(--bg);color:var(--text);font:15px/1.5 "Inter","Noto Sans","Noto Sans CJK SC","Source Han Sans SC","PingFang SC","Microsoft YaHei",system-ui,sans-serif;-webkit-font-smoothing:antialiased}
h1,h2,p,ul{margin:0;padding:0}
.picture{position:relative;display:flex;flex-direction:column;min-height:100dvh;overflow:hidden;padding:32px 44px 40px;background:linear-gradient(160deg,#0b1c27,#123546 70%,#17485c);color:#eaf3f7}
.brand{display:flex;align-items:center;gap:12px}
.brand p{display:flex;align-items:baseline;gap:10px;font-size:17px;color:#bcd0da}
.brand b{font-size:22px;color:#fff;letter-spacing:.03em}
.mark{flex:none;width:30px;height:30px;border-radius:6px;background:conic-gradient(from 90deg at 50% 50%,#9b1b1e 25%,#5aa9e6 0 50%,#fbe05c 0 75%,#e8743b 0);box-shadow:inset 0 0 0 2px #0b1c27,0 0 0 1.5px #eaf3f7}
.district{flex:1;min-height:0;width:100%;max-height:74vh;margin:auto}
.district path{stroke:#0f2836;stroke-width:1.4;stroke-linejoin:round}
.calm0{fill:#1d4a60}.calm1{fill:#21546c}.calm2{fill:#266079}.calm3{fill:#2d6c86}
.red{fill:#c8342f}.orange{fill:#e8743b}.yellow{fill:#f3d55a}.unseen{fill:url(#hatch)}
.district .town{fill:none;stroke:#8fb6c8;stroke-width:2;stroke-linecap:round}
.district .rim{fill:none;stroke:#d4e6ee;stroke-width:2.6;stroke-linecap:round}
.district pattern path{stroke:#8ba7b6;stroke-width:2.2}
.eyes .sector{fill:#7fe0cd;fill-opacity:.17;stroke:#7fe0cd;stroke-opacity:.55;stroke-width:1}.eyes circle{fill:#9af0de;stroke:#0f2836;stroke-width:1.5}
.questions{display:flex;flex-wrap:wrap;gap:10px 30px;list-style:none;font-size:15px;color:#d6e5ec}
.questions li{display:flex;align-items:center;gap:9px}
.questions li::before{content:"";width:12px;height:12px;border-radius:3px;background:#c8342f}
.questions .gap::before{background:repeating-linear-gradient(-45deg,#9fb4c2 0 2px,transparent 2px 5px);box-shadow:0 0 0 1px #9fb4c2}
.questions .duty::before{background:transparent;box-shadow:inset 0 0 0 2px #c0abf2}
.side{display:flex;flex-direction:column;min-height:100dvh;padding:28px 40px;background:var(--bg)}
header{display:flex;justify-content:flex-end;align-items:center;gap:12px;min-height:32px}
.flag{margin-right:auto;padding:2px 9px;border:1px dashed var(--yellow);border-radius:4px;color:var(--yellow);font-size:13px}
.lang{padding:5px 11px;border:1px solid var(--line);border-radius:5px;background:var(--panel);color:var(--soft);text-decoration:none;font-size:13.5px}
.lang:hover{color:var(--text)}
main{width:100%;max-width:420px;margin:auto;padding:28px 0}
h1{margin-bottom:20px;font-size:28px;font-weight:650;letter-spacing:.01em}
h2{font-size:17px;font-weight:650}
a{color:var(--accent)}
.lead{margin:-8px 0 20px;color:var(--soft)}
.fields{display:grid;gap:16px}
.field{display:grid;gap:5px}
label{font-weight:600;font-size:14px}
.field small,.hint{color:var(--soft);font-size:13px}
input{width:100%;min-height:44px;padding:9px 12px;border:1px solid var(--line);border-radius:6px;background:var(--panel);color:var(--text);font:inherit;font-size:16px}
input:focus-visible,button:focus-visible,a:focus-visible,summary:focus-visible{outline:2px solid var(--accent);outline-offset:1px}
button,.button{min-height:44px;border:0;border-radius:6px;font:inherit;cursor:pointer;color:inherit}
.button{display:grid;place-items:center;width:100%;padding:0 18px;background:var(--accent);color:var(--on);font-weight:650;font-size:16px;text-decoration:none}
.button:hover{filter:brightness(1.08)}
.second,.quiet{background:var(--panel);color:var(--text);border:1px solid var(--line)}
.or{display:flex;align-items:center;gap:12px;margin:18px 0;color:var(--soft);font-size:13px}
.or::before,.or::after{content:"";flex:1;height:1px;background:var(--line)}
.hint{margin-top:24px}
.alert{margin-bottom:18px;padding:10px 14px;border-left:3px solid var(--alarm);border-radius:4px;background:var(--alarm-bg);color:var(--alarm);font-weight:600}
.is-in{display:grid;grid-template-columns:1fr auto;gap:10px;margin-bottom:22px;padding:14px 16px;border:1px solid var(--line);border-radius:8px;background:var(--panel)}
.is-in p{grid-column:1/-1;font-weight:600}.quiet{padding:0 16px}
.demo{padding:16px 18px 18px;border:1px dashed var(--yellow);border-radius:8px;background:var(--panel)}
.demo p{margin:4px 0 14px;color:var(--soft);font-size:13.5px}
.roles{display:grid;grid-template-columns:1fr 1fr;gap:8px}
.roles button{display:grid;gap:1px;align-content:center;min-height:58px;padding:8px 12px;text-align:left;background:var(--raised);border:1px solid var(--line)}
.roles button:hover{border-color:var(--accent)}
.roles b{font-size:15px}.roles small{color:var(--soft);font-size:12.5px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.roles button:last-child:nth-child(odd){grid-column:1/-1}
details{margin-top:18px}summary{padding:8px 0;color:var(--accent);cursor:pointer;font-size:14.5px}details .fields{padding-top:10px}
footer{color:var(--soft);font-size:12.5px;text-align:right}footer a{color:inherit}
@media(max-width:860px){body{display:block}.picture{min-height:0;padding:16px 18px 14px}.picture .district{position:absolute;right:-84px;top:-34px;width:236px;height:206px;opacity:.4;margin:0;-webkit-mask-image:linear-gradient(#000 38%,transparent 52%);mask-image:linear-gradient(#000 38%,transparent 52%)}.brand,.questions{position:relative}.questions{margin-top:14px;gap:5px 16px;font-size:13px}.questions li::before{width:9px;height:9px}.brand p{flex-direction:column;gap:0;font-size:14px}.brand b{font-size:19px;line-height:1.25}.side{min-height:0;padding:14px 18px 18px}main{padding:14px 0 26px;margin:0 auto}h1{font-size:24px;margin-bottom:16px}footer{text-align:left}}
"""
