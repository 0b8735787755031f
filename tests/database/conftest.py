"""The county by hand with the lead of one place type settled, for files that ask what its sites score."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from clones import AS_OF
from small_town import COUNTY, add_person, assign, small_town

from geoapp.database.cluster import PrivateCluster

Connection = psycopg.Connection[dict[str, Any]]


@pytest.fixture(scope="module")
def led_county(cluster: PrivateCluster) -> Iterator[Connection]:
    """The emergency bureau leads R01, and a person of it is named."""
    with small_town(cluster, AS_OF) as connection:
        assign(connection, "R01", COUNTY, "YJ", "confirmed", person=add_person(connection, "科长"))
        yield connection


@pytest.fixture
def led_town(led_county: Connection) -> Iterator[Connection]:
    """The same; what a test adds is rolled back."""
    with led_county.transaction(force_rollback=True):
        yield led_county
