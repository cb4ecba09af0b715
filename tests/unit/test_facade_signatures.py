"""The façades' classes look like the drivers': signatures, classes, and no method that slips past the router."""

from __future__ import annotations

import inspect

import pymongo
import pytest
from motor import motor_asyncio
from pymongo.asynchronous import collection, cursor, database, mongo_client

import shadow.motor
import shadow.pymongo
from shadow.facade.methods import RoutedMethods

ROUTED = [name for name in vars(RoutedMethods) if not name.startswith("_")]
PAIRS = [
    (shadow.pymongo.AsyncCollection, collection.AsyncCollection),
    (shadow.motor.AsyncIOMotorCollection, motor_asyncio.AsyncIOMotorCollection),
]


def shape(method: object) -> dict[str, tuple[object, object]]:
    parameters = inspect.signature(method).parameters.values()  # type: ignore[arg-type]
    # Older drivers say False where newer ones say None, and mean the same.
    return {parameter.name: (parameter.kind, parameter.default or None) for parameter in parameters}


@pytest.mark.parametrize(("facade", "driver"), PAIRS, ids=["pymongo", "motor"])
@pytest.mark.parametrize("name", [*ROUTED, "find", "aggregate", "create_index", "distinct", "watch", "drop"])
def test_a_method_is_called_as_the_drivers(facade: type, driver: type, name: str) -> None:
    ours, theirs = shape(getattr(facade, name)), shape(getattr(driver, name))
    assert {parameter: ours.get(parameter) for parameter in theirs} == theirs
    if pymongo.version_tuple >= (4, 20):
        assert list(ours) == list(theirs)


@pytest.mark.parametrize("name", ROUTED)
def test_a_method_is_a_coroutine_function_where_the_drivers_is(name: str) -> None:
    assert inspect.iscoroutinefunction(getattr(shadow.pymongo.AsyncCollection, name))


@pytest.mark.parametrize(
    ("facade", "driver"),
    [
        *PAIRS,
        (shadow.pymongo.AsyncMongoClient, mongo_client.AsyncMongoClient),
        (shadow.pymongo.AsyncDatabase, database.AsyncDatabase),
        (shadow.pymongo.AsyncCursor, cursor.AsyncCursor),
        (shadow.motor.AsyncIOMotorClient, motor_asyncio.AsyncIOMotorClient),
        (shadow.motor.AsyncIOMotorCursor, motor_asyncio.AsyncIOMotorCursor),
        (shadow.motor.AsyncIOMotorClientSession, motor_asyncio.AsyncIOMotorClientSession),
    ],
)
def test_a_class_is_the_drivers_by_name_and_descent(facade: type, driver: type) -> None:
    assert issubclass(facade, driver)
    assert facade.__name__ == driver.__name__


def test_every_method_with_a_round_trip_is_routed_or_counted() -> None:
    coroutines = {
        name
        for name, method in inspect.getmembers(collection.AsyncCollection, inspect.iscoroutinefunction)
        if not name.startswith("_")
    }
    own = set(vars(shadow.pymongo.AsyncCollection)) | set(ROUTED)
    assert coroutines - own == {"drop"}  # the driver's drop calls the façade database's drop_collection


def test_every_method_of_motor_with_a_round_trip_is_routed_or_counted() -> None:
    driver = motor_asyncio.AsyncIOMotorCollection
    waits = {name for name in dir(driver) if getattr(getattr(driver, name), "is_async_method", False)}
    assert waits - set(vars(shadow.motor.AsyncIOMotorCollection)) == set()
