"""The façades' classes look like the drivers': signatures, classes, and no method that slips past the router."""

from __future__ import annotations

import inspect

import pymongo
import pymongo.client_session
import pymongo.collection
import pymongo.command_cursor
import pymongo.cursor
import pymongo.database
import pytest
from motor import motor_asyncio
from pymongo.asynchronous import client_session, collection, command_cursor, cursor, database, mongo_client

import shadow.motor
import shadow.pymongo
from shadow.facade import motor_cursor, pymongo_cursor, sync_cursor
from shadow.facade.methods import RoutedMethods

ROUTED = [name for name in vars(RoutedMethods) if not name.startswith("_")]
PAIRS = [
    (shadow.pymongo.AsyncCollection, collection.AsyncCollection),
    (shadow.motor.AsyncIOMotorCollection, motor_asyncio.AsyncIOMotorCollection),
    (shadow.pymongo.Collection, pymongo.collection.Collection),
]


CLASSES = [
    *PAIRS,
    (shadow.pymongo.AsyncMongoClient, mongo_client.AsyncMongoClient),
    (shadow.pymongo.AsyncDatabase, database.AsyncDatabase),
    (shadow.pymongo.AsyncCursor, cursor.AsyncCursor),
    (shadow.pymongo.AsyncRawBatchCursor, cursor.AsyncRawBatchCursor),
    (shadow.pymongo.AsyncClientSession, client_session.AsyncClientSession),
    (shadow.pymongo.MongoClient, pymongo.MongoClient),
    (shadow.pymongo.Database, pymongo.database.Database),
    (shadow.pymongo.Cursor, pymongo.cursor.Cursor),
    (shadow.pymongo.RawBatchCursor, pymongo.cursor.RawBatchCursor),
    (shadow.pymongo.ClientSession, pymongo.client_session.ClientSession),
    (shadow.motor.AsyncIOMotorClient, motor_asyncio.AsyncIOMotorClient),
    (shadow.motor.AsyncIOMotorDatabase, motor_asyncio.AsyncIOMotorDatabase),
    (shadow.motor.AsyncIOMotorCursor, motor_asyncio.AsyncIOMotorCursor),
    (pymongo_cursor.AsyncCommandCursor, command_cursor.AsyncCommandCursor),
    (sync_cursor.CommandCursor, pymongo.command_cursor.CommandCursor),
    (motor_cursor.CommandCursor, pymongo.command_cursor.CommandCursor),
    (motor_cursor.AsyncIOMotorLatentCommandCursor, motor_asyncio.AsyncIOMotorLatentCommandCursor),
    (motor_cursor.AsyncIOMotorRawBatchCursor, motor_cursor.DriverRawBatchCursor),
    (shadow.motor.AsyncIOMotorGridFSBucket, motor_asyncio.AsyncIOMotorGridFSBucket),
    (shadow.motor.AsyncIOMotorChangeStream, motor_asyncio.AsyncIOMotorChangeStream),
    (shadow.motor.AsyncIOMotorClientSession, motor_asyncio.AsyncIOMotorClientSession),
]
SPOKEN = {"__init__", "__getitem__", "__getattr__", "__call__", "__aenter__", "__aexit__", "__aiter__", "__anext__"}
SPOKEN |= {name.replace("__a", "__") for name in SPOKEN}
"""Methods that the language calls, beside the public ones."""
MEMBERS = [
    pytest.param(facade, driver, name, id=f"{driver.__name__}.{name}")
    for facade, driver in CLASSES
    for name in dir(driver)
    if name in SPOKEN or not name.startswith("_")
]


@pytest.mark.parametrize(("facade", "driver"), PAIRS)
@pytest.mark.parametrize("name", ROUTED)
def test_a_routed_method_is_documented_as_the_drivers(facade: type, driver: type, name: str) -> None:
    documentation = getattr(driver, name).__doc__
    assert documentation and getattr(facade, name).__doc__ == documentation


def shape(method: object) -> list[tuple[object, object, object]]:
    parameters = inspect.signature(method).parameters.values()  # type: ignore[arg-type]
    # Older drivers say False where newer ones say None, and mean the same.
    return [(parameter.name, parameter.kind, parameter.default or None) for parameter in parameters]


@pytest.mark.parametrize(("facade", "driver", "name"), MEMBERS)
def test_a_member_is_the_drivers(facade: type, driver: type, name: str) -> None:
    """No more and no less than the driver's takes, awaited where it is: nothing else may be seen of a façade."""
    ours, theirs = inspect.getattr_static(facade, name), inspect.getattr_static(driver, name)
    assert isinstance(ours, property) == isinstance(theirs, property)
    ours, theirs = getattr(facade, name), getattr(driver, name)
    if not callable(theirs) or ours is theirs:
        return
    assert inspect.iscoroutinefunction(ours) == inspect.iscoroutinefunction(theirs)
    if pymongo.version_tuple >= (4, 20):
        assert shape(ours) == shape(theirs)
    else:
        known = {parameter[0]: parameter for parameter in shape(ours)}
        assert [known.get(parameter[0]) for parameter in shape(theirs)] == shape(theirs)


@pytest.mark.parametrize(("facade", "driver"), CLASSES)
def test_a_facade_adds_nothing_that_an_application_might_take_for_a_collection(facade: type, driver: type) -> None:
    added = {name for name in dir(facade) if name not in dir(driver)}
    assert [name for name in added if not name.startswith("_")] == []


@pytest.mark.parametrize("name", ROUTED)
def test_a_method_is_a_coroutine_function_where_the_drivers_is(name: str) -> None:
    assert inspect.iscoroutinefunction(getattr(shadow.pymongo.AsyncCollection, name))


@pytest.mark.parametrize(("facade", "driver"), CLASSES)
def test_a_class_is_the_drivers_by_name_and_descent(facade: type, driver: type) -> None:
    assert issubclass(facade, driver)
    assert facade.__name__ == driver.__name__


@pytest.mark.parametrize("facade", [shadow.pymongo.AsyncCollection, shadow.pymongo.Collection])
def test_every_method_with_a_round_trip_is_routed_or_counted(facade: type) -> None:
    coroutines = {
        name
        for name, method in inspect.getmembers(collection.AsyncCollection, inspect.iscoroutinefunction)
        if not name.startswith("_")
    }
    own = {name for each in facade.__mro__ if each.__module__.startswith("shadow.") for name in vars(each)}
    assert coroutines - own == {"drop"}  # the driver's drop calls the façade database's drop_collection


def test_every_method_of_motor_with_a_round_trip_is_routed_or_counted() -> None:
    driver = motor_asyncio.AsyncIOMotorCollection
    waits = {name for name in dir(driver) if getattr(getattr(driver, name), "is_async_method", False)}
    assert waits - set(vars(shadow.motor.AsyncIOMotorCollection)) == set()
