"""Special operation certificates. What tells who a person is goes into keyed hashes, and nowhere else."""

import hashlib
import re
import unicodedata

import numpy as np
from numpy.typing import NDArray
from stdnum.cn import ric
from stdnum.exceptions import InvalidComponent

from etl import checks, words
from etl.frames import Frame
from etl.ground import Ground
from etl.readers import Table
from etl.reasons import Findings
from etl.register_sections import Certificates
from etl.sections.references import site_ids
from etl.sections.spans import refuse_reversed
from etl.sections.values import Values, constant
from etl.store import Target
from geoapp.access import key_file, sealing
from geoapp.access.sealing import keyed_hash
from geoapp.settings import settings

__all__ = ["TARGET", "prepare"]

TARGET = Target(
    "registry.certificate",
    "local_id",
    types={
        "local_id": "text",
        "site_id": "int8",
        "holder_name": "text",
        "holder_hash": "text",
        "certificate_hash": "text",
        "job_class": "text",
        "sub_item": "text",
        "issuer_family": "text",
        "issued_on": "date",
        "review_due_on": "date",
        "valid_to": "date",
    },
    name="job_class",
)
Objects = NDArray[np.object_]


def prepare(
    table: Table, section: Certificates, frame: Frame | None, ground: Ground, findings: Findings
) -> Values:
    """Values of registry.certificate. One person's certificates of several classes share a number: the key holds both."""
    columns = section.columns
    _refuse_lost_key(ground)
    issuer = checks.required(checks.texts(table, columns.issuer), findings, columns.issuer)
    issuer = checks.allowed(issuer, findings, columns.issuer, words.CERTIFICATE_ISSUERS)
    identity = _identities(table, columns.id_number, findings)
    number = _numbers(table, columns.certificate_no, identity, issuer, findings)
    job = _job_classes(table, columns.job_class, issuer, findings)
    sub_item = checks.texts(table, columns.sub_item, default="")
    issued = _days(table, columns.issued_on, findings)
    valid_to = _days(table, columns.valid_to, findings)
    refuse_reversed(issued, valid_to, findings, columns.valid_to)
    hashed = _hashes(number)
    site = checks.required(checks.texts(table, columns.site), findings, columns.site)
    holder = checks.required(checks.texts(table, columns.holder), findings, columns.holder, "name_missing")
    values: Values = {
        "local_id": np.array(
            [None if h is None else _digest(h, j, s) for h, j, s in zip(hashed, job, sub_item, strict=True)],
            dtype=object,
        ),
        "site_id": site_ids(site, ground, findings, columns.site),
        "holder_name": holder,
        "holder_hash": _hashes(identity),
        "certificate_hash": hashed,
        "job_class": job,
        "sub_item": sub_item,
        "issuer_family": issuer,
        "issued_on": issued,
        "valid_to": valid_to,
    }
    if columns.review_due_on:
        text = checks.texts(table, columns.review_due_on)
        values["review_due_on"] = checks.dates(text, findings, columns.review_due_on)
    return values


def _digest(*said: str) -> str:
    return hashlib.sha256("/".join(map(str, said)).encode()).hexdigest()


def _refuse_lost_key(ground: Ground) -> None:
    """Under a fresh key every stored certificate would come a second time. Raises KeyFileRefused where the old one is missing."""
    stored = "SELECT FROM registry.certificate WHERE batch_id IS NOT NULL LIMIT 1"
    if not settings().key_path.exists() and ground.connection.execute(stored).fetchone() is not None:
        key_file.read(settings().key_path)
    sealing.keys(ground.connection)


def _days(table: Table, column: str, findings: Findings) -> Objects:
    return checks.dates(checks.required(checks.texts(table, column), findings, column), findings, column)


def _plain(text: str) -> str:
    return re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", text)).upper()


def _identities(table: Table, column: str, findings: Findings) -> Objects:
    """The holders' ID numbers (GB 11643), checked; what is wrong with one is said without the number."""
    out = checks.required(checks.texts(table, column), findings, column)
    for row in np.flatnonzero(~checks.blank(out)):
        out[row] = _plain(out[row])
        why = _why_wrong(out[row])
        if why is not None:
            out[row] = None
            findings.reject_row(int(row), "id_number_invalid", column, why=why)
    return out


def _why_wrong(number: str) -> str | None:
    """What is wrong with an ID number, None for a right one.

    The place is not compared with a list of counties: a number keeps the code of a county that is no more, and the
    lists of which county had which code in the year of birth refuse people who exist.
    """
    if len(number) != 18:
        return "应为 18 位 / 18 digits are expected"
    if not re.fullmatch(r"[0-9]{17}[0-9X]", number):
        return "应为 17 位数字加校验位 / 17 digits and a check digit are expected"
    if ric.calc_check_digit(number) != number[-1]:
        return "校验位不对 / its check digit is wrong"
    try:
        ric.get_birth_date(number)
    except InvalidComponent:
        return "没有这个出生日期 / its birth date does not exist"
    return None


def _numbers(
    table: Table, column: str | None, identity: Objects, issuer: Objects, findings: Findings
) -> Objects:
    """The certificates' numbers. Those of the emergency bureau are T and the holder's ID number, and need no column."""
    out = checks.texts(table, column)
    for row in range(len(out)):
        of_holder = f"T{identity[row]}" if identity[row] is not None else None
        if out[row] is None:
            out[row] = of_holder if issuer[row] == "MEM" else None
            if issuer[row] not in (None, "MEM"):
                findings.reject_row(row, "value_missing", column or "certificate_no")
            continue
        out[row] = _plain(out[row])
        if issuer[row] == "MEM" and of_holder is not None and out[row] != of_holder:
            findings.reject_row(row, "certificate_not_holders", column)
    return out


def _hashes(numbers: Objects) -> Objects:
    return np.array([keyed_hash(n) if n else None for n in numbers], dtype=object)


def _job_classes(table: Table, column: str, issuer: Objects, findings: Findings) -> Objects:
    """The catalogue's name of each class; a class that is not in it is kept as it is written, and noted."""
    said = checks.required(checks.texts(table, column), findings, column)
    out = constant(table, None)
    for row in np.flatnonzero(~checks.blank(said)):
        out[row] = words.JOB_CLASSES.get(unicodedata.normalize("NFKC", said[row]), said[row])
    known = set(words.JOB_CLASSES.values())
    strange = np.array(
        [i == "MEM" and j is not None and j not in known for i, j in zip(issuer, out, strict=True)],
        dtype=bool,
    )
    findings.warn(strange & findings.accepted, "job_class_unlisted", column, found=said)
    return out
