"""Saboteurs: each switches off one guard of the delivery promise, and a story must then fail with that promise broken.

A saboteur is a function in one of the modules beside this one:

    @saboteur("test_order.py::test_a_slow_receiver_gets_one_version_after_the_other", breaks="backwards")
    def two_at_once(off: MonkeyPatch) -> None:
        \"\"\"One request at a time for each object.\"\"\"
        off.setattr(...)

Its docstring is the guard, in a sentence; its body switches the guard off. The hub knows nothing of all this. `quick`
ones are proven in CI.
"""

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.chaos.stories.promise import Promise

MODULES = ("accepting", "order", "receivers", "money")
STORIES = "tests/chaos/stories/"
VARIABLE = "CHAOS_SABOTEUR"
"""Names the saboteur to the workers that a story starts as processes."""

Switch = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Saboteur:
    """A saboteur: `story` is the test that must fail, `breaks` the promise that it must see broken."""

    name: str
    guard: str
    story: str
    breaks: Promise
    quick: bool
    switch_off: Switch


_KNOWN: dict[str, Saboteur] = {}


def saboteur(story: str, *, breaks: Promise, quick: bool = False) -> Callable[[Switch], Switch]:
    """Register a function as a saboteur."""

    def register(switch: Switch) -> Switch:
        name, guard = switch.__name__, " ".join((switch.__doc__ or "").split()).rstrip(".")
        _KNOWN[name] = Saboteur(name, guard, STORIES + story, breaks, quick, switch)
        return switch

    return register


def known() -> dict[str, Saboteur]:
    """All of them by name, in the order of their modules."""
    for module in MODULES:
        importlib.import_module(f"tests.chaos.saboteurs.{module}")
    return _KNOWN


def send_in(off: pytest.MonkeyPatch) -> None:
    """Switch off the guard that the environment names, if it names one."""
    name = os.environ.get(VARIABLE)
    if name:
        known()[name].switch_off(off)
