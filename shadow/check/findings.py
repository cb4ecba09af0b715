"""What a check finds, worst first."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is: an error makes `shadow check` fail, a warning wants a look, a note is good to know."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found: where (a path of the configuration), what, and the way out. Never a value or a secret."""

    level: Level
    where: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        """One line."""
        return f"{self.level} {self.where}: {self.what}" + (f"; {self.fix}" if self.fix else "")


def error(where: str, what: str, fix: str) -> Finding:
    """Something that would fail."""
    return Finding(Level.ERROR, where, what, fix)


def warning(where: str, what: str, fix: str) -> Finding:
    """Something that may fail, or that Shadow cannot see."""
    return Finding(Level.WARNING, where, what, fix)


def note(where: str, what: str, fix: str = "") -> Finding:
    """Something to know."""
    return Finding(Level.NOTE, where, what, fix)


def by_level(findings: list[Finding]) -> list[Finding]:
    """Errors first; within a level the order stays."""
    return sorted(findings, key=lambda finding: list(Level).index(finding.level))
