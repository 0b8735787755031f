"""`geoapp secret`: credentials of cameras and webhooks. Values go in and are never shown again."""

import getpass
import json
import sys

import typer
from rich.console import Console
from rich.table import Table

from geoapp.access import sealing
from geoapp.access.sealing import Connection
from geoapp.database.connection import connect, database_url
from geoapp.errors import Refused
from geoapp.settings import settings

app = typer.Typer(
    help="摄像机和推送的账号口令（加密保存）/ credentials of cameras and webhooks, sealed.",
    no_args_is_help=True,
)
JSON = typer.Option(False, "--json", help="Print JSON.")
KIND = typer.Argument(..., help="camera or webhook.")
SUBJECT = typer.Argument(..., metavar="ID", help="gb_id of the camera, or name of the webhook.")
KINDS = ("camera", "webhook")
_LONGEST_LINE = 20_000


# Words too many are taken here, so that a password among them is refused without being printed.
@app.command("set", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def set_secret(
    context: typer.Context,
    kind: str = KIND,
    subject_id: str = SUBJECT,
    username: str | None = typer.Option(None, "--username", help="Account; without it, it is asked for."),
    as_json: bool = JSON,
) -> None:
    """存一组账号口令 / Store an account and its password: asked for, or the password as one line of standard input."""
    if context.args:
        raise Refused(
            "口令不能写在命令行里 / A password is never given on the command line: others see it there, and the shell keeps it. "
            "Nothing was stored.\n  geoapp secret set camera ID 会询问口令，也可从标准输入读取 / asks for it, or reads it from standard "
            "input. If you have just typed a real one, change it."
        )
    with connect(database_url()) as connection:
        _refuse_unknown(connection, kind, subject_id)
        account, password = _asked(username)
        given = {"password": password} | ({"username": account} if account else {})
        by = _operator()
        if not account:
            sealing.forget_secrets(connection, kind, subject_id)  # the former account goes with its password
        changed = [f for f, v in given.items() if sealing.put_secret(connection, kind, subject_id, f, v, by)]
    done = {"kind": kind, "id": subject_id, "fields": sorted(given), "changed": sorted(changed)}
    typer.echo(
        json.dumps(done)
        if as_json
        else f"已加密保存 / sealed and stored: {kind} {subject_id} ({', '.join(sorted(given))})"
    )


@app.command("list")
def list_secrets(as_json: bool = JSON) -> None:
    """列出存了什么，不含值 / List what is stored, by whom and when; never the values."""
    with connect(database_url()) as connection:
        rows = connection.execute(
            "SELECT subject_kind AS kind, subject_id AS id, field, key_id, set_at, set_by FROM access.secret"
            " ORDER BY subject_kind, subject_id, field"
        ).fetchall()
    known = _known_keys() if rows else []
    for row in rows:
        row["is_readable"] = row["key_id"] in known
        row["set_at"] = row["set_at"].isoformat(timespec="seconds")
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    table = Table("类 / kind", "编号 / id", "项 / field", "密钥 / key", "时间 / set at", "谁 / by", box=None)
    for row in rows:
        key = row["key_id"] if row["is_readable"] else f"{row['key_id']} (打不开 / not this key)"
        table.add_row(row["kind"], row["id"], row["field"], key, row["set_at"], row["set_by"])
    Console(width=None if Console().is_terminal else 160).print(table if rows else "没有 / none stored")


@app.command("forget")
def forget(kind: str = KIND, subject_id: str = SUBJECT, as_json: bool = JSON) -> None:
    """删除一组账号口令 / Remove the credentials of one camera or webhook."""
    with connect(database_url()) as connection:
        count = sealing.forget_secrets(connection, kind, subject_id)
    if count == 0:
        raise Refused(f"没有存 {kind} {subject_id} 的口令 / Nothing is stored for {kind} {subject_id}.")
    typer.echo(
        json.dumps({"kind": kind, "id": subject_id, "removed": count})
        if as_json
        else f"已删除 / removed: {count}"
    )


@app.command("rotate")
def rotate(as_json: bool = JSON) -> None:
    """换新密钥重新加密全部口令 / Seal everything again under a new key; values in older backups then no longer open."""
    with connect(database_url()) as connection:
        count = sealing.rotate(connection)
    key_id = sealing.keys_in_use()[0]
    typer.echo(
        json.dumps({"resealed": count, "key_id": key_id})
        if as_json
        else f"已用新密钥 {key_id} 重新加密 {count} 项 / {count} value(s) sealed again under the new key {key_id}.\n"
        "  请备份密钥文件，与数据库备份分开存放 / Back the key file up, apart from the database's backups."
    )


@app.command("forget-unreadable")
def forget_unreadable(as_json: bool = JSON) -> None:
    """密钥遗失后：删除打不开的口令 / After the key file is lost for good: remove what no key opens, to set it again."""
    with connect(database_url()) as connection:
        gone = sealing.forget_unreadable(connection)
    typer.echo(
        json.dumps({"removed": gone})
        if as_json
        else "\n".join([f"已删除 / removed: {len(gone)}", *(f"  {place}" for place in gone)])
    )


def _known_keys() -> list[str]:
    path = settings().key_path
    return sealing.keys_in_use() if path.exists() else []  # a list makes no key file


def _refuse_unknown(connection: Connection, kind: str, subject_id: str) -> None:
    if kind not in KINDS:
        raise Refused(f"没有这一类 / unknown kind {kind!r}: camera or webhook.")
    if kind == "camera":
        held = connection.execute("SELECT FROM registry.camera WHERE gb_id = %s", (subject_id,)).fetchone()
        if held is None:
            raise Refused(f"没有摄像机 {subject_id} / There is no camera {subject_id} in the register.")


def _asked(username: str | None) -> tuple[str, str]:
    """Account and password: asked for at a terminal, else the password is the first line of standard input."""
    if sys.stdin.isatty():
        account = username if username is not None else typer.prompt("账号 / user name", default="")
        return account.strip(), getpass.getpass("口令 / password: ")
    if username is None:
        raise Refused(
            "请用 --username 写明账号（没有账号则写空） / With the password on standard input, name the account: --username NAME "
            '(or --username "" where there is none).'
        )
    line = sys.stdin.readline(_LONGEST_LINE).rstrip("\r\n")
    return username.strip(), line


def _operator() -> str:
    """The operating system's account: all that a command line knows of who sits at it."""
    try:
        return f"command line: {getpass.getuser()}"
    except (KeyError, OSError):  # an account without a name, as in some containers
        return "command line"
