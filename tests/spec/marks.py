"""Which tests claim which rows, read from the source: nothing is imported, so it takes a moment.

A mark is a decorator of a test, of a test class, or stands in a `pytest.param` of a parametrised test, in the
decorator or in a list of the module that the decorator names. The ids are plain text, or one of a dict of the module
(`IDS[name]`), where every value is claimed by some case. A mark that is worked out otherwise is an error: nobody could
look for its ids.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hub.settings import CHECKOUT

MOST = 3
"""So many rows a test may claim: who claims more proves none of them sharply."""


@dataclass(frozen=True)
class Claim:
    """What a test, or some cases of it, claims. `test` is its node id without a case ("tests/a.py::test_b"), the ids
    are in order."""

    test: str
    ids: tuple[str, ...]


class Unreadable(Exception):
    """A mark whose ids are not plain text."""


def read(folder: Path = CHECKOUT / "tests", root: Path = CHECKOUT) -> list[Claim]:
    """Every claim below `folder`, in the order of files and lines. Raises Unreadable."""
    claims: list[Claim] = []
    for file in sorted(folder.rglob("test_*.py")):
        text = file.read_text(encoding="utf-8")
        if "mark.catalogue" in text:
            name = file.relative_to(root).as_posix()
            try:
                claims += _in_module(ast.parse(text), name)
            except Unreadable as error:
                raise Unreadable(f"{name}:{error}") from None
    return claims


def faults(claims: Iterable[Claim], known: set[str]) -> list[str]:
    """What is wrong with the claims, a line each: ids that are no row's, and tests that claim too much."""
    found = []
    for claim in dict.fromkeys(claims):
        found += [f"{claim.test}: there is no row {id}" for id in claim.ids if id not in known]
        if len(claim.ids) > MOST:
            found.append(f"{claim.test}: claims {len(claim.ids)} rows, {MOST} at most")
    return found


def by_row(claims: Iterable[Claim]) -> dict[str, list[str]]:
    """The tests that claim a row, by id, each once."""
    tests: dict[str, dict[str, None]] = {}
    for claim in claims:
        for id in claim.ids:
            tests.setdefault(id, {})[claim.test] = None
    return {id: list(names) for id, names in tests.items()}


Names = dict[str, ast.expr]
"""What the names of a module stand for."""


def _in_module(tree: ast.Module, name: str) -> Iterator[Claim]:
    names = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            shared = _ids(node.decorator_list, names)
            for member in node.body:
                yield from _in_function(member, f"{name}::{node.name}", names, shared)
        else:
            yield from _in_function(node, name, names, {()})


def _in_function(node: ast.stmt, where: str, names: Names, shared: set[tuple[str, ...]]) -> Iterator[Claim]:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or not node.name.startswith("test_"):
        return
    own = _joined(shared, _ids(node.decorator_list, names))
    found = {ids for ids in own if ids}
    for decorator in node.decorator_list:
        for case in _cases(decorator, names):
            marks = [keyword.value for keyword in case.keywords if keyword.arg == "marks"]
            found |= _joined(own, _ids(marks, names)) if marks else set()
    yield from (Claim(f"{where}::{node.name}", ids) for ids in sorted(found) if ids)


def _cases(decorator: ast.expr, names: Names) -> Iterator[ast.Call]:
    """The pytest.param calls of a parametrize decorator, also those in lists of the module that it names."""
    if not isinstance(decorator, ast.Call) or not ast.unparse(decorator.func).endswith("mark.parametrize"):
        return
    roots: list[ast.AST] = [decorator]
    roots += [names[n.id] for n in ast.walk(decorator) if isinstance(n, ast.Name) and n.id in names]
    for root in roots:
        for node in ast.walk(root):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("pytest.param"):
                yield node


def _ids(nodes: Iterable[ast.expr], names: Names) -> set[tuple[str, ...]]:
    """What the catalogue marks among decorators, or in a `marks` argument (which may be a list), claim together: the
    ids of each case."""
    found: set[tuple[str, ...]] = {()}
    for node in nodes:
        if isinstance(node, ast.List | ast.Tuple):
            found = _joined(found, _ids(node.elts, names))
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.catalogue"):
            for argument in node.args:
                found = _joined(found, {(id,) for id in _texts(argument, names)})
    return found


def _texts(node: ast.expr, names: Names) -> list[str]:
    """The ids that an argument of a mark may be: a text, or any value of a dict that is looked into."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    looked_into = (
        names.get(node.value.id) if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) else None
    )
    if isinstance(looked_into, ast.Dict):
        return [id for value in looked_into.values for id in _texts(value, {})]
    raise Unreadable(f"{node.lineno}: a catalogue mark names its rows as plain text")


def _joined(some: set[tuple[str, ...]], more: set[tuple[str, ...]]) -> set[tuple[str, ...]]:
    return {tuple(sorted({*one, *other})) for one in some for other in more}
