"""Receivers: entered, changed, tried, paused, removed; what is asked for, checked. `geoapp tell` and the page of telling use it.

by: who sits at the command line; None = an account, whom the database itself names.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, time
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import psycopg
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from geoapp.access.sealing import forget_secrets, replace_secrets
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused
from geoapp.watch.telling.mqtt import topic_of
from geoapp.watch.telling.receiver import SEALED_AS, SECRETS, Kind, Language
from geoapp.watch.telling.words import CLASSES, TRANSITIONS

Connection = psycopg.Connection[dict[str, Any]]
SCHEMES: dict[Kind, tuple[str, ...]] = {
    "webhook": ("https", "http"),
    "wecom": ("https", "http"),
    "dingtalk": ("https", "http"),
    "mqtt": ("mqtts", "mqtt"),
    "email": ("smtp", "smtps"),
}
# Robots take 20 messages a minute; DingTalk takes none for ten minutes after the 21st.
PER_MINUTE: dict[Kind, int] = {"webhook": 600, "wecom": 20, "dingtalk": 20, "mqtt": 600, "email": 60}
TOPICS = ("incident", "camera_health")
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")
_MAIL = re.compile(r"[^\s@<>\",;:]{1,64}@[^\s@<>\",;:]{1,255}")


class Asked(BaseModel):
    """What an operator asks for. None: all of them. Times are the city's clock, the rest is in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: Kind
    address: str
    recipients: tuple[str, ...] = ()
    sender: str | None = None
    language: Language = "zh"
    topics: tuple[str, ...] = ("incident",)
    classes: tuple[str, ...] | None = None
    transitions: tuple[str, ...] | None = None
    towns: tuple[str, ...] | None = None
    min_score: float = Field(default=0.0, ge=0, le=1)
    only_confirmed: bool = False
    cooldown_s: float = Field(default=300.0, ge=0)
    quiet_from: time | None = None
    quiet_to: time | None = None
    quiet_passes: tuple[str, ...] = ("fire",)
    per_minute: int | None = Field(default=None, ge=1)
    give_up_after_s: float = Field(default=21_600.0, gt=0)

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError(
                "small letters, digits and . _ - only, at most 40 / 只用小写字母、数字和 . _ -，最多 40 个"
            )
        return value

    @field_validator("topics", "classes", "transitions", "quiet_passes")
    @classmethod
    def _known(cls, value: tuple[str, ...] | None, info: Any) -> tuple[str, ...] | None:
        known = {
            "topics": TOPICS,
            "classes": tuple(CLASSES),
            "quiet_passes": tuple(CLASSES),
            "transitions": tuple(TRANSITIONS),
        }[info.field_name]
        for word in value or ():
            if word not in known:
                raise ValueError(f"{word!r} is not one of / 不在其中: {', '.join(known)}")
        return value

    @model_validator(mode="after")
    def _address(self) -> Asked:
        refuse_address(self.kind, self.address)
        if self.kind == "email":
            for one in (*self.recipients, *((self.sender,) if self.sender else ())):
                if not _MAIL.fullmatch(one):
                    raise ValueError(f"{one!r} is no e-mail address / 不是邮件地址")
            if not self.recipients or not self.sender:
                raise ValueError("e-mail needs --to and --from / 邮件需要 --to 和 --from")
        elif self.recipients or self.sender:
            raise ValueError("--to and --from are for e-mail / 只用于邮件")
        if (self.quiet_from is None) != (self.quiet_to is None):
            raise ValueError("quiet hours have a beginning and an end / 免打扰时段要有起止")
        return self


def refuse_address(kind: Kind, address: str) -> None:
    """Raises ValueError for an address that is not one of this kind, or that holds a secret."""
    where = urlsplit(address)
    if where.scheme not in SCHEMES[kind] or not where.hostname:
        schemes = " or ".join(f"{scheme}://" for scheme in SCHEMES[kind])
        raise ValueError(f"the address must begin with / 地址应以此开头: {schemes}")
    try:
        _ = where.port
    except ValueError:
        raise ValueError("the port is no number / 端口不对") from None
    if where.username is not None or where.password is not None:
        raise ValueError(
            "accounts and passwords do not go into the address; they are asked for and sealed / 账号口令不要写在地址里，会另行询问并加密保存"
        )
    if kind in ("wecom", "dingtalk") and where.query:
        raise ValueError(
            "leave out what follows the ? : the robot's token is asked for and sealed / 去掉 ? 之后的部分：机器人令牌会另行询问并加密保存"
        )
    if where.fragment:
        raise ValueError("an address has no # part here / 地址不应含 #")
    if kind == "webhook" and any(value and len(value) > 15 for _, value in parse_qsl(where.query)):
        raise ValueError(
            "this address seems to hold a token; sign with a sealed secret instead / 地址里像是有令牌；请改用加密保存的密钥签名"
        )
    if kind == "mqtt":
        topic = topic_of(address)
        if not topic or any(sign in topic for sign in "+#\0"):
            raise ValueError("name the topic: mqtt://host:1883/geoapp/incidents / 请写明主题，且不含 + 和 #")
    if kind == "email" and where.path.strip("/"):
        raise ValueError("smtp://host:587, recipients by --to / 收件人用 --to")


def checked(given: Mapping[str, Any]) -> Asked:
    """The same, checked. Raises Refused with the field and the reason; values are not repeated where they may be secret."""
    try:
        return Asked.model_validate(dict(given))
    except ValidationError as fault:
        rows = []
        for error in fault.errors():
            where = ".".join(str(part) for part in error["loc"]) or "address"
            rows.append(f"  {where}: {error['msg'].removeprefix('Value error, ')}")
        raise Refused("接收方没有写入 / The receiver was not written:\n" + "\n".join(rows)) from None


def add_receiver(
    connection: Connection,
    asked: Asked,
    secrets: Mapping[str, SecretStr],
    *,
    at: datetime,
    by: str | None,
) -> int:
    """Enters a receiver with its sealed secrets, in the caller's transaction; its id. It is told of what happens from `at` on.

    Raises Refused for a name that is taken, an unknown town, and secrets that are missing or too many.
    """
    _refuse_secrets(asked, secrets, held=())
    _refuse_towns(connection, asked)
    # Names of those that were removed may be used again; two that are added at once meet at the index.
    row = connection.execute(
        read_sql("watch/added_receiver").encode(), {**_values(asked), "at": at, "by": by or ""}
    ).fetchone()
    if row is None:
        raise Refused(f"已有接收方 {asked.name} / There is a receiver {asked.name} already.")
    replace_secrets(connection, SEALED_AS, str(row["id"]), secrets, by)
    return int(row["id"])


def held_receiver(connection: Connection, name: str) -> tuple[dict[str, Any], list[str]]:
    """What is set for a receiver, by the fields of Asked, and the names of its secrets; held until the transaction ends.

    Raises Refused where there is no such receiver.
    """
    row = _change(connection, read_sql("watch/held_receiver"), {"name": name})
    secrets = row.pop("secrets")
    return row, secrets


def change_receiver(
    connection: Connection,
    asked: Asked,
    secrets: Mapping[str, SecretStr],
    *,
    held: Sequence[str],
    at: datetime,
    by: str | None,
) -> None:
    """Gives the receiver of this name and kind what is asked for, in the caller's transaction; it is tried again at once.

    secrets: only those that are set anew. held: names of those that are sealed now. What was sealed for one address goes to
    no other: with a new address all of them are forgotten, and those that are needed must be among `secrets`. Raises Refused
    as add_receiver does, and where there is no such receiver.
    """
    _refuse_towns(connection, asked)
    row = _change(
        connection,
        "SELECT id, kind, address FROM watch.receiver WHERE name = %(name)s AND removed_at IS NULL FOR UPDATE",
        {"name": asked.name},
    )
    if row["kind"] != asked.kind:
        raise Refused(
            f"{asked.name} 是 {row['kind']}，种类不能改 / is a {row['kind']}; its kind stays: remove it and add another."
        )
    stays = row["address"] == _values(asked)["address"]
    _refuse_secrets(asked, secrets, held=held if stays else ())
    connection.execute(
        read_sql("watch/changed_receiver").encode(), {**_values(asked), "id": row["id"], "at": at}
    )
    replace_secrets(connection, SEALED_AS, str(row["id"]), secrets, by)


def _refuse_secrets(asked: Asked, secrets: Mapping[str, SecretStr], *, held: Sequence[str]) -> None:
    known = SECRETS[asked.kind]
    missing = [
        name
        for name, is_optional in known.items()
        if not is_optional and name not in secrets and name not in held
    ]
    if missing:
        raise Refused(f"缺少 / {asked.kind} needs: {', '.join(missing)}")
    if unknown := sorted(set(secrets) - set(known)):
        raise Refused(f"{asked.kind} 不用 / has no use for: {', '.join(unknown)}")


def _refuse_towns(connection: Connection, asked: Asked) -> None:
    for code in asked.towns or ():
        if connection.execute("SELECT FROM territory.unit WHERE code = %s", (code,)).fetchone() is None:
            raise Refused(f"没有乡镇 {code} / There is no town {code} (12 digits).")


def _values(asked: Asked) -> dict[str, Any]:
    return {
        **asked.model_dump(),
        "address": urlunsplit(urlsplit(asked.address)),
        "recipients": list(asked.recipients),
        "topics": list(asked.topics),
        "classes": None if asked.classes is None else list(asked.classes),
        "transitions": None if asked.transitions is None else list(asked.transitions),
        "towns": None if asked.towns is None else list(asked.towns),
        "quiet_passes": list(asked.quiet_passes),
        "per_minute": asked.per_minute or PER_MINUTE[asked.kind],
    }


def ask_test(connection: Connection, name: str, *, at: datetime) -> uuid.UUID:
    """A test message that the teller sends next, past quiet hours; its key.

    For whoever may not open the receiver's secrets; `deliver.try_out` sends one itself. It is tried for ten minutes
    (sql/watch/delivery_given_up.sql). Raises Refused where there is no such receiver, or it is paused.
    """
    row = _change(
        connection,
        "SELECT id, paused_at FROM watch.receiver WHERE name = %(name)s AND removed_at IS NULL",
        {"name": name},
    )
    if row["paused_at"] is not None:
        raise Refused(f"{name} 已暂停，请先恢复 / is paused: resume it first.")
    key = uuid.uuid4()
    connection.execute(
        read_sql("watch/delivery_test_asked").encode(), {"receiver_id": row["id"], "key": key, "at": at}
    )
    return key


def pause_receiver(connection: Connection, name: str, *, at: datetime, by: str | None) -> None:
    """Sends nothing to it until it is resumed; what happens meanwhile waits, and is given up after the receiver's time."""
    _change(
        connection,
        "UPDATE watch.receiver SET paused_at = coalesce(paused_at, %(at)s), paused_by = coalesce(paused_by, %(by)s)"
        " WHERE name = %(name)s AND removed_at IS NULL RETURNING id",
        {"name": name, "at": at, "by": by or ""},
    )


def resume_receiver(connection: Connection, name: str, *, at: datetime) -> None:
    """Goes on; also ends the pause after failures."""
    _change(
        connection,
        "UPDATE watch.receiver SET paused_at = NULL, paused_by = NULL, next_try_at = %(at)s"
        " WHERE name = %(name)s AND removed_at IS NULL RETURNING id",
        {"name": name, "at": at},
    )


def remove_receiver(connection: Connection, name: str, *, at: datetime, by: str | None) -> None:
    """Ends it and forgets its secrets; its log stays, and what waits for it is given up."""
    row = _change(
        connection,
        "UPDATE watch.receiver SET removed_at = %(at)s, removed_by = %(by)s"
        " WHERE name = %(name)s AND removed_at IS NULL RETURNING id",
        {"name": name, "at": at, "by": by or ""},
    )
    forget_secrets(connection, SEALED_AS, str(row["id"]))


def tell_again(
    connection: Connection, name: str, *, since: datetime, at: datetime, ids: Sequence[int] | None = None
) -> int:
    """What was refused or given up since then waits again, with the same keys; how many messages. ids: only of these."""
    row = _change(
        connection,
        "SELECT id FROM watch.receiver WHERE name = %(name)s AND removed_at IS NULL",
        {"name": name},
    )
    return connection.execute(
        read_sql("watch/delivery_again").encode(),
        {"receiver_id": row["id"], "since": since, "at": at, "ids": None if ids is None else list(ids)},
    ).rowcount


def _change(connection: Connection, change: str, values: dict[str, Any]) -> dict[str, Any]:
    row = connection.execute(change.encode(), values).fetchone()
    if row is None:
        raise Refused(
            f"没有接收方 {values['name']} / There is no receiver {values['name']}. geoapp tell list"
        )
    return row
