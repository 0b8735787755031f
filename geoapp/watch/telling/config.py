"""How telling works: every number that is policy, with its unit."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from geoapp.settings import Settings


class TellingConfig(BaseModel):
    """Seconds, but for most_* (how many at a time).

    connect_s and total_s bound one message. A failed message is tried again after retry_first_s, twice that, and so on up
    to retry_most_s; its receiver as a whole after pause_most_s at most, with another message where there is one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tick_s: float = Field(default=1.0, gt=0)
    lease_s: float = Field(default=60.0, gt=0)
    connect_s: float = Field(default=3.0, gt=0)
    total_s: float = Field(default=10.0, gt=0)
    retry_first_s: float = Field(default=2.0, gt=0)
    retry_most_s: float = Field(default=900.0, gt=0)
    pause_most_s: float = Field(default=60.0, gt=0)
    most_planned: int = Field(default=500, ge=1)
    most_receivers: int = Field(default=64, ge=1)
    most_subjects: int = Field(default=50, ge=1)
    # Where the city's own map is, for links in messages; certificates of authorities that are believed besides the public ones.
    public_url: str | None = None
    ca_file: Path | None = None

    @classmethod
    def of(cls, found: Settings) -> TellingConfig:
        """The defaults with what this installation's settings say."""
        return cls(public_url=found.public_url, ca_file=found.feed_ca_file)
