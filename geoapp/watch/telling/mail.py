"""E-mail, in both languages, as text and as HTML. smtp://host:587 (STARTTLS is a must), or smtps://host:465."""

from __future__ import annotations

import smtplib
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape
from urllib.parse import urlsplit

from geoapp.watch.telling import words
from geoapp.watch.telling.answer import Answer, delivered, later, refused
from geoapp.watch.telling.config import TellingConfig
from geoapp.watch.telling.http import trusted
from geoapp.watch.telling.message import Message, lines, title
from geoapp.watch.telling.receiver import Language, Receiver

PORTS = {"smtp": 587, "smtps": 465}
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def send(receiver: Receiver, message: Message, *, config: TellingConfig, at: datetime) -> Answer:
    """Delivered when the server has taken it for all recipients; where it takes it for some only, the answer names the others.

    Without STARTTLS nothing is sent, but to this machine itself.
    """
    where = urlsplit(receiver.address)
    host, port = where.hostname or "", where.port or PORTS[where.scheme]
    try:
        with _opened(where.scheme, host, port, config) as server:
            server.ehlo()
            if where.scheme == "smtp" and (server.has_extn("starttls") or host not in LOOPBACK):
                server.starttls(context=trusted(config))
            username, password = receiver.secret("username"), receiver.secret("password")
            if username is not None and password is not None:
                server.login(username, password)
            missed = server.send_message(
                mail(receiver, message, at), receiver.sender, list(receiver.recipients)
            )
    except smtplib.SMTPRecipientsRefused as fault:
        codes = [code for code, _ in fault.recipients.values()]
        said = f"SMTP {codes[0]}: no recipient was taken"
        return later(said) if any(code < 500 for code in codes) else refused(said)
    except smtplib.SMTPNotSupportedError:
        return refused("the server offers no STARTTLS, or no such sign-in; nothing was sent")
    except smtplib.SMTPResponseException as fault:
        said = f"SMTP {fault.smtp_code} {_text(fault.smtp_error)}"
        return refused(said) if fault.smtp_code >= 500 else later(said)
    except (smtplib.SMTPException, OSError) as fault:
        return later(f"not reached ({type(fault).__name__})")
    return delivered("SMTP 250" + (f", but not for {', '.join(sorted(missed))}" if missed else ""))


def _opened(scheme: str, host: str, port: int, config: TellingConfig) -> smtplib.SMTP:
    # Of each answer: a message has about ten of them, and all must come before the lease ends.
    limit_s = max(config.connect_s, config.total_s / 2)
    if scheme == "smtps":
        return smtplib.SMTP_SSL(host, port, timeout=limit_s, context=trusted(config))
    return smtplib.SMTP(host, port, timeout=limit_s)


def mail(receiver: Receiver, message: Message, at: datetime) -> EmailMessage:
    """The whole message. Its Message-ID and X-GeoApp-Key are the key: the same for every try."""
    order: tuple[Language, Language] = ("zh", "en") if receiver.language == "zh" else ("en", "zh")
    made = EmailMessage(policy=SMTP)
    sender = receiver.sender or "geoapp@localhost"
    made["From"] = Address("GeoApp", addr_spec=sender)
    made["To"] = [Address(addr_spec=one) for one in receiver.recipients]
    made["Subject"] = " ".join(title(message, receiver.language).split())
    made["Date"] = format_datetime(at)
    made["Message-ID"] = f"<{message.key}@{sender.rpartition('@')[2]}>"
    made["X-GeoApp-Key"] = str(message.key)
    made["Auto-Submitted"] = "auto-generated"
    made.set_content("\n\n".join(_plain(message, lang) for lang in order))
    made.add_alternative(
        '<!doctype html><html><body style="font-family:sans-serif">'
        + "<hr>".join(_html(message, lang) for lang in order)
        + "</body></html>",
        subtype="html",
    )
    return made


def _plain(message: Message, lang: Language) -> str:
    rows = [f"{label}: {text}" if label else text for label, text in lines(message, lang)]
    link = [f"{words.LABELS['link'][lang]}: {message.link}"] if message.link else []
    return "\n".join([title(message, lang), "", *rows, *link, f"{words.LABELS['key'][lang]}: {message.key}"])


def _html(message: Message, lang: Language) -> str:
    rows = "".join(
        f'<tr><th align="left" valign="top">{escape(label)}</th><td>{escape(text)}</td></tr>'
        for label, text in [*lines(message, lang), (words.LABELS["key"][lang], str(message.key))]
    )
    link = (
        f'<p><a href="{escape(message.link, quote=True)}">{words.LABELS["link"][lang]}</a></p>'
        if message.link
        else ""
    )
    return (
        f'<section lang="{lang}"><h2>{escape(title(message, lang))}</h2><table>{rows}</table>{link}</section>'
    )


def _text(said: bytes | str) -> str:
    return (said.decode("utf-8", "replace") if isinstance(said, bytes) else said).replace("\n", " ")[:200]
