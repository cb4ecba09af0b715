"""The local journal: where marks go while PostgreSQL is slow or away.

One bounded file per process, in a folder that the processes of a host share. It survives the death of its process (not
the loss of its host): whoever of the same host sees that process gone uploads it. When the bound is reached, one line
says that the entity owes a verify, and no further mark of it needs a line.
"""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

from shadow_adapters.contract import NewDebt, NewMark, ProcessInfo, Upload

_SUFFIX = ".journal"
_RESERVE = 128


class Journal:
    """The journal of one process.

    Args:
        folder: shared by the processes of the host; made if missing.
        me: who writes it; kept in its first line.
        max_bytes: the bound.

    Raises:
        OSError: the folder cannot be written, at the start, so that nobody finds out in an emergency.
    """

    def __init__(self, folder: Path, me: ProcessInfo, max_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{me.id}{_SUFFIX}"
        self._me = me
        self._max = max_bytes
        self._owing: set[str] = set()
        self._lock = threading.Lock()
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        header = _line({"process": _identity(me)})
        self._reserve_at = len(header)
        self._start = self._end = len(header) + _RESERVE
        _write_at(self._file, header + b" " * (_RESERVE - 1) + b"\n", 0)

    @property
    def size(self) -> int:
        """Bytes of marks written and not yet uploaded."""
        return self._end - self._start

    def append(self, marks: Iterable[NewMark]) -> None:
        """Write marks, before the writes that they cover. A full disk becomes a debt of every entity, in its place."""
        with self._lock:
            for mark in marks:
                if mark.entity in self._owing or "*" in self._owing:
                    continue
                line = _mark_line(self._me.id, mark)
                if self.size + len(line) > self._max:
                    line = _line({"debt": mark.entity, "since": mark.opened_at})
                    self._owing.add(mark.entity)
                self._write(line, mark.opened_at)

    def owe(self, entity: str, reason: str, since: float | None) -> None:
        """Write a debt."""
        with self._lock:
            self._write(_line({"debt": entity, "since": since, "reason": reason}), since)

    def read(self) -> tuple[Upload, int]:
        """What is to be uploaded, and the size up to which `truncate` may forget it."""
        with self._lock:
            if self.size == 0 and not self._owing:
                return Upload(), 0
            return _parse(self._path.read_bytes())[1], self._end

    def truncate(self, upto: int) -> None:
        """Forget what was uploaded; kept whole if more was written meanwhile (uploading twice is harmless)."""
        with self._lock:
            if upto and upto == self._end:
                os.ftruncate(self._file, self._start)
                _write_at(self._file, b" " * (_RESERVE - 1) + b"\n", self._reserve_at)
                self._end = self._start
                self._owing.clear()

    def close(self) -> None:
        """Remove the journal if nothing is left in it; keep one that holds marks."""
        with self._lock:
            os.close(self._file)
            if self.size == 0 and not self._owing:
                self._path.unlink(missing_ok=True)

    def _write(self, line: bytes, since: float | None) -> None:
        try:
            _write_at(self._file, line, self._end)
            self._end += len(line)
        except OSError:
            # The reserved line lies on blocks that the file has already, so a full disk cannot refuse it.
            debt = _line({"debt": "*", "since": since})
            _write_at(self._file, debt.rstrip(b"\n").ljust(_RESERVE - 1) + b"\n", self._reserve_at)
            self._owing.add("*")


def left_behind(folder: Path, gone: Iterable[UUID]) -> tuple[Upload, list[Path]]:
    """The journals of processes that are gone, as one upload, and the files to remove once it is committed."""
    marks: list[NewMark] = []
    debts: list[NewDebt] = []
    paths = []
    for process in gone:
        path = folder / f"{process}{_SUFFIX}"
        if not path.exists():
            continue
        _, upload = _parse(path.read_bytes())
        marks += upload.marks
        debts += upload.debts
        paths.append(path)
    return Upload(tuple(marks), tuple(debts)), paths


def authors(folder: Path) -> list[ProcessInfo]:
    """The processes whose journals lie in the folder."""
    if not folder.is_dir():
        return []
    found = []
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        author, _ = _parse(path.read_bytes())
        if author is not None:
            found.append(author)
    return found


def _identity(me: ProcessInfo) -> dict[str, Any]:
    return {
        "id": str(me.id),
        "host": me.host,
        "pid": me.pid,
        "pid_namespace": me.pid_namespace,
        "started": me.started,
    }


def _mark_line(owner: UUID, mark: NewMark) -> bytes:
    key = None if mark.key is None else base64.b64encode(mark.key).decode()
    return _line({"o": str(owner), "s": mark.seq, "e": mark.entity, "k": key, "t": mark.opened_at})


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _parse(data: bytes) -> tuple[ProcessInfo | None, Upload]:
    """Whole lines only: a torn last line belongs to a write that never began."""
    author: ProcessInfo | None = None
    marks: list[NewMark] = []
    debts: list[NewDebt] = []
    for line in data.split(b"\n")[:-1]:
        if not line.strip():
            continue
        entry = json.loads(line)
        if "process" in entry:
            identity = dict(entry["process"])
            author = ProcessInfo(id=UUID(identity.pop("id")), **identity)
        elif "debt" in entry:
            debts.append(NewDebt(entry["debt"], entry.get("reason", "the journal was full"), entry["since"]))
        else:
            key = None if entry["k"] is None else base64.b64decode(entry["k"])
            marks.append(NewMark(entry["s"], entry["e"], key, entry["t"], UUID(entry["o"])))
    return author, Upload(tuple(marks), tuple(debts))


def _write_at(file: int, data: bytes, at: int) -> None:
    while data:
        written = os.pwrite(file, data, at)
        data, at = data[written:], at + written
