"""What became of a file's tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

COUNTED = ("passed", "failed", "skipped")


@dataclass(frozen=True, slots=True)
class Test:
    """One test: its outcome, and why it failed or was skipped."""

    __test__ = False  # nothing for pytest to collect

    outcome: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """One file in one phase (``bare``: the driver alone).

    Attributes:
        tests: by the test's name within the file.
        broken: why the file did not come to its end; empty where it did.
        served: calls that reached a collection's router, by the store that answered.
        unserved: calls that new did not serve, by name.
        entities: the collections that it used.
    """

    file: str
    phase: str
    tests: dict[str, Test]
    broken: str = ""
    served: dict[str, int] = field(default_factory=dict)
    unserved: dict[str, int] = field(default_factory=dict)
    entities: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many tests passed, failed and were skipped."""
        found = Counter(test.outcome for test in self.tests.values())
        return {outcome: found[outcome] for outcome in COUNTED}

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self) | {"counts": self.counts}


def read(results: Sequence[Mapping[str, Any]]) -> dict[str, list[Result]]:
    """What `Result.as_json` has told, by file; of a file and phase that is told more than once the last."""
    found: dict[str, dict[str, Result]] = {}
    for each in results:
        fields = {name: value for name, value in each.items() if name != "counts"}
        tests = {name: Test(**test) for name, test in each["tests"].items()}
        result = Result(**{**fields, "tests": tests, "entities": tuple(each["entities"])})
        found.setdefault(result.file, {})[result.phase] = result
    return {file: list(by_phase.values()) for file, by_phase in found.items()}


@dataclass(frozen=True, slots=True)
class Difference:
    """A test that does not end as it does with the driver alone."""

    test: str
    bare: Test
    shadow: Test


ABSENT = Test("absent")
"""What is said of a test that did not run."""


def differences(bare: Result, shadow: Result) -> list[Difference]:
    """The tests of a file that end in another way than with the driver alone."""
    names = dict.fromkeys([*bare.tests, *shadow.tests])
    pairs = [(name, bare.tests.get(name, ABSENT), shadow.tests.get(name, ABSENT)) for name in names]
    return [Difference(*pair) for pair in pairs if pair[1].outcome != pair[2].outcome]
