"""Puts the façades in the place of the drivers' classes, in this process.

What is put there is a *stand-in*: a subclass of the façade that takes the driver's own objects for its own in
``isinstance``, since collections that are not configured are the driver's own. The driver's modules keep working with
their own classes among themselves, and so do Shadow's, which are imported before.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from types import GenericAlias, ModuleType
from typing import Any

# The driver's class | the façade's, in `shadow.motor` or `shadow.pymongo` | further public places of the driver's
_TABLE = (
    ("motor.motor_asyncio", "AsyncIOMotorClient", "shadow.motor", ()),
    ("motor.motor_asyncio", "AsyncIOMotorClientSession", "shadow.motor", ()),
    ("motor.motor_asyncio", "AsyncIOMotorDatabase", "shadow.motor", ()),
    ("motor.motor_asyncio", "AsyncIOMotorCollection", "shadow.motor", ()),
    ("motor.motor_asyncio", "AsyncIOMotorCursor", "shadow.motor", ()),
    ("motor.motor_asyncio", "AsyncIOMotorChangeStream", "shadow.motor", ()),
    ("motor.motor_asyncio", "AsyncIOMotorGridFSBucket", "shadow.motor", ()),
    ("pymongo.asynchronous.mongo_client", "AsyncMongoClient", "shadow.pymongo", ("pymongo",)),
    ("pymongo.asynchronous.client_session", "AsyncClientSession", "shadow.pymongo", ()),
    ("pymongo.asynchronous.database", "AsyncDatabase", "shadow.pymongo", ()),
    ("pymongo.asynchronous.collection", "AsyncCollection", "shadow.pymongo", ()),
    ("pymongo.asynchronous.cursor", "AsyncCursor", "shadow.pymongo", ()),
    ("pymongo.asynchronous.cursor", "AsyncRawBatchCursor", "shadow.pymongo", ()),
    ("pymongo.synchronous.mongo_client", "MongoClient", "shadow.pymongo", ("pymongo", "pymongo.mongo_client")),
    ("pymongo.synchronous.client_session", "ClientSession", "shadow.pymongo", ("pymongo.client_session",)),
    ("pymongo.synchronous.database", "Database", "shadow.pymongo", ("pymongo.database",)),
    ("pymongo.synchronous.collection", "Collection", "shadow.pymongo", ("pymongo.collection",)),
    ("pymongo.synchronous.cursor", "Cursor", "shadow.pymongo", ("pymongo.cursor",)),
    ("pymongo.synchronous.cursor", "RawBatchCursor", "shadow.pymongo", ("pymongo.cursor",)),
)

# Where the driver looks its own classes up in another module at every call: it is given that module as it was.
_LOOKS_UP = (
    ("pymongo.asynchronous.mongo_client", ("client_session", "database")),
    ("pymongo.synchronous.mongo_client", ("client_session", "database")),
)

# Everything of Shadow's, of Motor's and of PyMongo's that takes the driver's classes when it is imported.
_BEFORE = (
    "motor.motor_asyncio",
    "pymongo.asynchronous.encryption",
    "pymongo.encryption",
    "shadow.motor",
    "shadow.pymongo",
    "shadow.embedded",
    "shadow.runtime",
    "shadow.status",
    "shadow.check",
)

_swapped = False
_DRIVERS: set[type] = set()
"""The drivers' classes that have stand-ins."""


class StandIn(type):
    """The type of stand-ins: what they subclass is the façade's, what they recognize is the driver's.

    The driver finds them in its own modules too: what it makes of an object of its own stays its own. A check walks the
    driver's class itself: some are abstract, and those would ask all their subclasses, the stand-in among them.
    """

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        driver: type | None = cls.__dict__.get("_shadow_driver")
        if driver is not None and args and type(args[0]) in _DRIVERS:
            return driver(*args, **kwargs)
        return super().__call__(*args, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        driver: type | None = cls.__dict__.get("_shadow_driver")
        return type.__instancecheck__(cls if driver is None else driver, instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        driver: type | None = cls.__dict__.get("_shadow_driver")
        return type.__subclasscheck__(cls if driver is None else driver, subclass)


def swapped() -> bool:
    """Whether the façades are in place."""
    return _swapped


def swap() -> None:
    """Import the drivers and the façades, and put stand-ins in place; once."""
    global _swapped
    if _swapped:
        return
    _swapped = True
    for name in _BEFORE:
        import_module(name)
    for module, names in _LOOKS_UP:
        for name in names:
            setattr(sys.modules[module], name, _as_it_is(getattr(sys.modules[module], name)))
    for driver, facade, places in list(_pairs()):
        made = _stand_in(driver, facade)
        _DRIVERS.add(driver)
        for place in places:
            setattr(place, driver.__name__, made)


def _pairs() -> Iterator[tuple[type, type, list[ModuleType]]]:
    """Each driver's class that has a façade, with the façade and the modules in which the class is found."""
    for home, name, shadow, others in _TABLE:
        driver = getattr(import_module(home), name)
        facade = getattr(import_module(shadow), name, None)
        if facade is not None:
            yield driver, facade, [import_module(place) for place in (home, *others)]


def _stand_in(driver: type, facade: type) -> type:
    names: dict[str, Any] = {
        "__module__": driver.__module__,
        "__qualname__": driver.__qualname__,
        "__doc__": driver.__doc__,
        "__class_getitem__": classmethod(GenericAlias),
        "_shadow_driver": driver,
    }
    kind = StandIn if type(facade) is type else type("StandIn", (StandIn, type(facade)), {})
    made: type = kind(driver.__name__, (facade,), names)
    return made


def _as_it_is(module: ModuleType) -> ModuleType:
    copy = ModuleType(module.__name__, module.__doc__)
    vars(copy).update(vars(module))
    return copy
