"""Who is told, as the teller needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any, Literal
from urllib.parse import quote, quote_plus

from pydantic import SecretStr

Kind = Literal["webhook", "wecom", "dingtalk", "mqtt", "email"]
Language = Literal["zh", "en"]
KINDS: tuple[Kind, ...] = ("webhook", "wecom", "dingtalk", "mqtt", "email")
# What is sealed for each kind, and whether it can do without.
SECRETS: dict[str, dict[str, bool]] = {
    "webhook": {"secret": True},
    "wecom": {"token": False},
    "dingtalk": {"token": False, "secret": True},
    "mqtt": {"username": True, "password": True},
    "email": {"username": True, "password": True},
}
SEALED_AS = "receiver"
"""access.secret.subject_kind of a receiver's secrets; subject_id is its id."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """A row of watch.receiver that this process holds, with its opened secrets."""

    id: int
    name: str
    kind: Kind
    address: str
    recipients: tuple[str, ...]
    sender: str | None
    language: Language
    cooldown_s: float
    quiet_from: time | None
    quiet_to: time | None
    quiet_passes: frozenset[str]
    per_minute: int
    failures: int
    tokens: float
    tokens_at: datetime
    lease_token: int
    secrets: Mapping[str, SecretStr] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, row: Mapping[str, Any], secrets: Mapping[str, SecretStr]) -> Receiver:
        """From a row of watch.receiver."""
        return cls(
            id=row["id"],
            name=row["name"],
            kind=row["kind"],
            address=row["address"],
            recipients=tuple(row["recipients"]),
            sender=row["sender"],
            language=row["language"],
            cooldown_s=row["cooldown_s"],
            quiet_from=row["quiet_from"],
            quiet_to=row["quiet_to"],
            quiet_passes=frozenset(row["quiet_passes"]),
            per_minute=row["per_minute"],
            failures=row["failures"],
            tokens=row["tokens"],
            tokens_at=row["tokens_at"],
            lease_token=row["lease_token"],
            secrets=secrets,
        )

    def secret(self, name: str) -> str | None:
        """A sealed value, opened; None where none was given."""
        held = self.secrets.get(name)
        return None if held is None else held.get_secret_value()

    def without_secrets(self, text: str) -> str:
        """The text with this receiver's own secrets masked, however the other side quotes them."""
        for value in self.secrets.values():
            plain = value.get_secret_value()
            for form in (plain, quote(plain), quote_plus(plain)):
                text = text.replace(form, "***")
        return text
