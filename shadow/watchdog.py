"""Becomes a server, after leaving a watcher behind that kills the server's whole tree when the starter is gone.

Run by path, without site-packages: ``python -I -S watchdog.py STARTER UID GID FOLDER COMMAND...``. A parent-death
signal is not enough: it fires when the *thread* that started the server ends, it is lost where the server changes its
user, and it reaches no grandchildren. UID and GID -1 mean no change. FOLDER is removed with the server, unless it is
``-``.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

POLL_SECONDS = 0.2
_PROC = os.path.isdir("/proc/self")


def tree(root: int) -> list[int]:
    """The process ids of ``root`` and all of its descendants, parents first."""
    children: dict[int, list[int]] = {}
    for pid, parent in _processes():
        children.setdefault(parent, []).append(pid)
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def _processes() -> list[tuple[int, int]]:
    """Every process with its parent. From ``/proc``, or from ``ps`` where there is none."""
    if not _PROC:
        out = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        return [(int(pid), int(parent)) for pid, parent in (line.split() for line in out.splitlines())]
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [(pid, int(stat[1])) for pid in pids if (stat := _stat(pid))]


def _stat(pid: int) -> list[str]:
    """The fields of ``/proc/PID/stat`` from the state on; empty when the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()
    except OSError:
        return []


def send(root: int, number: int) -> None:
    """Send a signal to ``root`` and all of its descendants; those that are gone do not matter.

    The root is stopped before a kill, so that it cannot fork while its children are being counted.
    """
    if number == signal.SIGKILL:
        _send_one(root, signal.SIGSTOP)
    for pid in tree(root):
        _send_one(pid, number)


def _send_one(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def identity(pid: int) -> str:
    """What tells this process from a later one of the same number; empty when it is gone (a zombie is)."""
    if _PROC:
        stat = _stat(pid)
        return stat[19] if stat and stat[0] not in "ZX" else ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    return str(pid)


def _watch(starter: int, starter_identity: str, server: int, folder: str) -> None:
    """Wait until either is gone. If the starter is, take the server and its folder along."""
    mine = identity(server)
    while identity(server) == mine:
        if identity(starter) != starter_identity:
            send(server, signal.SIGKILL)
            if folder != "-":
                shutil.rmtree(folder, ignore_errors=True)
            return
        time.sleep(POLL_SECONDS)


def main(arguments: list[str]) -> None:
    """Fork the watcher, drop privileges if asked to, and become the server."""
    starter, uid, gid, folder, command = *map(int, arguments[:3]), arguments[3], arguments[4:]
    server, starter_identity = os.getpid(), identity(starter)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            _watch(starter, starter_identity, server, folder)
        os._exit(0)
    os.wait()
    if gid >= 0:
        os.setgroups([])
        os.setgid(gid)
    if uid >= 0:
        os.setuid(uid)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
