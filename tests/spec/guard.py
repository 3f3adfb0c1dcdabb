"""Guards: single places that keep a rule. Switched off one by one, each must turn every test red that claims the rule.

There are forty, spread over the modules, so that the proof takes minutes; a new one takes the place of a weaker one.

A guard is a function in `tests/spec/guards/` that puts something in the guard's place, with the rows it keeps:

    @guard("TF-010")
    def tokens_are_looked_up(off: MonkeyPatch) -> None:
        \"\"\"Whoever shows some token is let in.\"\"\"
        off.setattr(auth, "identify", ...)

`off` takes everything back after the test. Its name says what is guarded, its docstring what happens without.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

import pytest

Switch = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Guard:
    """A guard: its name, the rows it keeps, and how it is switched off."""

    name: str
    rows: tuple[str, ...]
    switch_off: Switch


_GUARDS: dict[str, Guard] = {}


def guard(*rows: str) -> Callable[[Switch], Switch]:
    """Register a function as the switch of a guard that keeps `rows`."""

    def register(switch_off: Switch) -> Switch:
        _GUARDS[switch_off.__name__] = Guard(switch_off.__name__, rows, switch_off)
        return switch_off

    return register


def known() -> dict[str, Guard]:
    """All guards by name, in the order of their files."""
    package = importlib.import_module("tests.spec.guards")
    for module in sorted(found.name for found in pkgutil.iter_modules(package.__path__)):
        importlib.import_module(f"{package.__name__}.{module}")
    return _GUARDS
