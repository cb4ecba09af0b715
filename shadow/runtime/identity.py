"""Who this process is to the fleet, and whether another one of this host is surely gone."""

from __future__ import annotations

import os
import socket
import sys
import uuid
from pathlib import Path

from shadow_adapters.contract import ProcessInfo

_STARTTIME = 19  # field 22 of /proc/PID/stat, counted behind the command's closing parenthesis (man 5 proc)


def this_process() -> ProcessInfo:
    """A fresh identity: a child after a fork has its own."""
    return ProcessInfo(
        id=uuid.uuid4(),
        host=socket.gethostname(),
        pid=os.getpid(),
        pid_namespace=_namespace(),
        started=_started(os.getpid()) or 0.0,
        command=Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python",
    )


def surely_gone(process: ProcessInfo) -> bool:
    """Whether a process of this host and pid namespace no longer runs: no such pid, or another one under its number."""
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    started = _started(process.pid)
    return started is not None and process.started > 0 and started != process.started


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return "?"


def _started(pid: int) -> float | None:
    """When the process began, in clock ticks since boot; None where the system does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else float(fields[_STARTTIME])
