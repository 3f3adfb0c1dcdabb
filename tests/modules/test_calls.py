"""What every route is handed."""

from collections.abc import Callable, Iterator
from inspect import iscoroutinefunction
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from hub.app import OCPI_ROUTERS

ROUTES = [route for router in OCPI_ROUTERS for route in router.routes if isinstance(route, APIRoute)]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{sorted(route.methods)[0]} {route.path}")
def test_nothing_of_a_route_runs_in_a_pool_of_threads(route: APIRoute) -> None:
    called = list(_called(route.dependant))
    assert route.endpoint in called
    assert [function for function in called if not iscoroutinefunction(function)] == []


def _called(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    if dependant.call is not None:
        yield dependant.call
    for dependency in dependant.dependencies:
        yield from _called(dependency)
