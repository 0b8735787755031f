"""Every reason that the watch can give for not having looked has words on the screen."""

import pytest

from dashboards.texts import t
from detection.types import Reason


@pytest.mark.parametrize("reason", [*Reason, "not_connected", "never_looked", "stale"])
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_reason_is_said_in_words(reason: str, lang: str) -> None:
    said = t(f"reason.{reason}", lang)
    assert said
    assert "_" not in said
