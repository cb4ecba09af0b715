"""In ``legacy`` the drivers' own tests end with Shadow in their drivers' place as they end with the drivers alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shadow.embedded import EmbeddedError, PostgresServer
from tests.drivers.known import known
from tests.drivers.report import line
from tests.drivers.results import Result, differences
from tests.drivers.run import run
from tests.drivers.suites import FILES, File, NotToBeHad
from tests.drivers.world import BARE

QUICK = "pymongo/test/asynchronous/test_custom_types.py"
"""The file that the everyday suite runs."""

CASES = [pytest.param(file, id=file.label, marks=[] if file.label == QUICK else [pytest.mark.slow]) for file in FILES]


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A server of these tests' own: each run makes a database on it."""
    try:
        server = PostgresServer(durable=False).start()
    except EmbeddedError as error:
        pytest.skip(str(error))
    with server:
        yield server


def ran(file: File, phase: str, postgres: PostgresServer) -> Result:
    try:
        return run(file, phase, postgres)
    except NotToBeHad as error:
        pytest.skip(str(error))


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("file", CASES)
def test_legacy_is_as_the_driver_alone(file: File, postgres: PostgresServer) -> None:
    bare = ran(file, BARE, postgres)
    shadow = ran(file, "legacy", postgres)
    assert not bare.broken and bare.counts["passed"]
    unknown = [line(each) for each in differences(bare, shadow) if not known(each.test)]
    assert (shadow.broken, unknown) == ("", [])
    assert shadow.entities, "no call went through Shadow"
