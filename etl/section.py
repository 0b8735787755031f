"""One file of a manifest: where it is, how it is read, which column holds what."""

import os
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator

from etl.frames import parse_frame
from geoapp.access.redaction import redact
from geoapp.errors import Refused

__all__ = ["Column", "Section", "Strict"]


class Strict(BaseModel):
    """A part of a manifest: unknown keys are refused, numbers are taken as text."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True, str_strip_whitespace=True)


Column = Annotated[str, Field(min_length=1)]


class Section(Strict):
    """One file of the city. `columns` says which column of the file holds which field.

    `file` may also be the address of a PostgreSQL database (postgresql://…; `layer` is the table), with ${NAME} for a
    password that stands in the environment. `where` keeps only rows whose column has the given value (or one of them);
    `frame` is the coordinate frame of the file's coordinates: wgs84, cgcs2000, gcj02, bd09 or epsg:NNNN. `geometry`
    names a column of WKT, WKB or GeoJSON. `gone`: what becomes of stored rows that a new version of the file lacks.
    """

    name: ClassVar[str] = ""
    spatial: ClassVar[bool] = True
    # A file without coordinates is taken all the same.
    place_is_optional: ClassVar[bool] = False
    # Rows are compared with each other: the file is read at once, not in chunks.
    whole: ClassVar[bool] = False

    file: str = Field(min_length=1)
    layer: str | None = None
    encoding: str | None = None
    frame: str | None = None
    where: dict[str, str | list[str]] = Field(default_factory=dict)
    geometry: str | None = None
    gone: Literal["keep", "retire"] = "keep"
    columns: Any

    _came_from: str | None = PrivateAttr(default=None)

    @field_validator("frame")
    @classmethod
    def _frame_exists(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            return parse_frame(value).name
        except Refused as refusal:
            raise ValueError(str(refusal)) from None

    @field_validator("encoding")
    @classmethod
    def _encoding_exists(cls, value: str | None) -> str | None:
        import codecs

        if value is not None:
            try:
                codecs.lookup(value)
            except LookupError:
                raise ValueError(f"unknown encoding {value!r}; expected utf-8, gbk or gb18030") from None
        return value

    def address(self, folder: Path) -> Path | str:
        """Where the file lies, paths relative to `folder`; or the address of a database, secrets filled in.

        Raises Refused where the environment lacks a ${NAME} of it.
        """
        if not re.match(r"postgres(ql)?://", self.file):
            return (folder / self.file).expanduser()

        def value(found: re.Match[str]) -> str:
            if found[1] not in os.environ:
                raise Refused(
                    f"{self.name}.file: 环境变量 {found[1]} 没有设置 / the environment has no {found[1]}; set it and try again."
                )
            return quote(os.environ[found[1]], safe="")

        return re.sub(r"\$\{(\w+)\}", value, self.file)

    @property
    def shown_file(self) -> str:
        """The part of a file that this is, as people know it: its name, layer and `where`; of a database only where it is."""
        if self._came_from is not None:
            return self._came_from
        name = redact(re.sub(r"//[^/]*@", "//", self.file)) if "://" in self.file else Path(self.file).name
        chosen = ", ".join(
            f"{column}={value if isinstance(value, str) else '|'.join(value)}"
            for column, value in self.where.items()
        )
        return name + (f" #{self.layer}" if self.layer else "") + (f" [{redact(chosen)}]" if chosen else "")

    def from_correction(self, workbook: Path, sheet: str, frame: str | None, geometry: str | None) -> Self:
        """The same section with a corrected workbook in place of its file; it still goes under the file's name."""
        given: dict[str, Any] = {
            "file": str(workbook.resolve()),
            "layer": sheet,
            "encoding": None,
            "where": {},
        }
        changed = self.model_copy(
            update={**given, "frame": frame or self.frame, "geometry": geometry or self.geometry}
        )
        changed._came_from = self.shown_file
        return changed

    def named_columns(self) -> dict[str, str]:
        """Field to column of the file, for the fields that the manifest names."""
        if isinstance(self.columns, BaseModel):
            return {k: v for k, v in self.columns.model_dump(by_alias=True).items() if v is not None}
        return dict(self.columns)
