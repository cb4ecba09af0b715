"""When the façades take the drivers' place: at the first import of a driver, whoever makes it.

Nothing is imported before, so that a process which uses no driver pays next to nothing. Shadow's own command line keeps
the drivers' classes.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

from shadow.swap import swap, swapped

DRIVERS = ("pymongo", "motor")
_THEIRS = (*DRIVERS, "bson", "gridfs")
_OURS = ("shadow", "shadow_adapters", "shadow_flags")
_COMMAND_LINE = "shadow.cli"


class TooLate(RuntimeError):
    """A driver had been imported before Shadow was installed: classes that were taken from it would not be routed."""


def install() -> None:
    """Let the façades take the place of Motor's and PyMongo's classes in this process. Twice is as good as once.

    Raises `TooLate` where somebody has imported a driver already; the text names the module and the way out.
    """
    if swapped() or _COMMAND_LINE in sys.modules or any(isinstance(finder, _Watch) for finder in sys.meta_path):
        return
    loaded = [name for name in DRIVERS if name in sys.modules]
    if not loaded:
        sys.meta_path.insert(0, _Watch())
        return
    quicker = next(_holders(), None)
    if quicker is None and "shadow.facade" in sys.modules:
        swap()
        return
    raise TooLate(
        f"{quicker or 'a module that cannot be told'} imported {loaded[0]} before Shadow was installed: call "
        "shadow.install() before that, or start the application with `shadow run -- COMMAND`"
    )


def _holders() -> Iterator[str]:
    """The modules that hold something of a driver's, in the order in which they were first imported."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in (*_THEIRS, *_OURS) and _holds(module):
            yield name


def _holds(module: ModuleType) -> bool:
    for value in list((getattr(module, "__dict__", None) or {}).values()):
        origin = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        if isinstance(origin, str) and origin.partition(".")[0] in DRIVERS:
            return True
    return False


class _Watch:
    """Finds what the interpreter would find, and sees when the first import of a driver has ended.

    Shadow's own modules are watched too: they import drivers, and must not be met half made.
    """

    def __init__(self) -> None:
        self._depth = threading.local()

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        if name.partition(".")[0] not in (*DRIVERS, *_OURS):
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            loader.exec_module = self._seen(loader.exec_module)
        return spec

    def _seen(self, execute: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
        def exec_module(module: ModuleType) -> None:
            self._depth.now = getattr(self._depth, "now", 0) + 1
            try:
                execute(module)
            finally:
                self._depth.now -= 1
            if self._depth.now == 0:
                self._ended()

        return exec_module

    def _ended(self) -> None:
        """The outermost of the watched imports has ended."""
        if _COMMAND_LINE not in sys.modules and not any(name in sys.modules for name in DRIVERS):
            return
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        if _COMMAND_LINE not in sys.modules:
            swap()
