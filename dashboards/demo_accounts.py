"""The demo's people: one account of each role over the sample city, signed in to with one click on this machine only."""

from typing import Any

from dashboards.asked import LOOPBACK_NAMES, Asked
from dashboards.sign_in_page import DemoRole
from dashboards.texts import Language, t
from geoapp.access.accounts import add_account
from geoapp.access.caller import ROLES, Caller, Connection, Pool, acting
from geoapp.database.sql_files import read_sql
from geoapp.settings import settings

# The town of the demo's people, where the city has it: 张堰镇 of Jinshan.
FIRST_CHOICE = "310116103000"
NAMES = {
    "committee": ("李敏", "Li Min"),
    "duty_officer": ("陈磊", "Chen Lei"),
    "inspector": ("王芳", "Wang Fang"),
    "planner": ("赵强", "Zhao Qiang"),
    "analyst": ("周洁", "Zhou Jie"),
    "enterprise": ("孙伟", "Sun Wei"),
    "admin": ("吴涛", "Wu Tao"),
}


def add_demo_accounts(owner: Connection) -> int:
    """Makes the accounts that are missing, `demo_<role>`, through the owner's connection; how many were made.

    They have no password, so that there is no way in but the demo's button. In a city that is not generated none is made.
    """
    city = owner.execute("SELECT is_generated FROM territory.city").fetchone()
    if city is None or not city["is_generated"]:
        return 0
    held = {row["login"] for row in owner.execute("SELECT login FROM access.account").fetchall()}
    place = owner.execute(read_sql("access/demo_place").encode(), {"town": FIRST_CHOICE}).fetchone()
    made = 0
    for role, (name_zh, name_en) in NAMES.items():
        login = f"demo_{role}"
        if login in held or place is None:
            continue
        areas: list[str] = [place["town_code"]] if role in ("duty_officer", "inspector", "planner") else []
        sites: list[int] = [place["site_id"]] if role == "enterprise" else []
        add_account(owner, login, name_zh, [role], areas=areas, sites=sites, name_en=name_en, is_demo=True)
        made += 1
    return made


def demo_is_open(asked: Asked, *, listening_on: str, city: dict[str, Any] | None) -> bool:
    """Whether one-click sign-in is offered to this request.

    Only where `geoapp demo` started the server, over a generated city, on a loopback address, for a browser on this
    machine that asks for a loopback name with no proxy between.
    """
    return (
        settings().demo
        and listening_on in LOOPBACK_NAMES
        and city is not None
        and bool(city["is_generated"])
        and asked.from_this_machine
    )


def demo_people(pool: Pool, lang: Language) -> list[DemoRole]:
    """The demo's accounts that can be entered, in the order of NAMES. `pool` is the web process's own."""
    with pool.connection() as connection:
        rows = connection.execute(read_sql("access/demo_people").encode()).fetchall()
    by_role = {row["roles"][0]: row for row in rows}
    found = []
    for role in (role for role in NAMES if role in by_role):
        row = by_role[role]
        who = Caller(row["account_id"], row["login"], row["name_zh"], (role,), row["scope"], row["db_role"])
        # Names of places are the account's to read, not the web process's.
        with acting(pool, who) as connection:
            own = connection.execute(read_sql("access/own_place").encode()).fetchall()
        place = "、".join(str(u[f"name_{lang}"]) for u in own) or t("scope.district", lang)
        found.append(DemoRole(role, str(row[f"name_{lang}"]), place))
    return found


def demo_account_id(connection: Connection, role: str) -> int | None:
    """The id of the demo's account of a role, None for an unknown role or a disabled account."""
    if role not in ROLES:
        return None
    row = connection.execute(
        "SELECT id FROM access.account WHERE login = %s AND is_demo AND password_hash IS NULL AND disabled_at IS NULL",
        (f"demo_{role}",),
    ).fetchone()
    return None if row is None else int(row["id"])
