"""The proof by sabotage: each guard is switched off, and every test that claims one of its rows must fail.

A test that stays green would not notice that the rule is gone. What does not pass with all guards on proves nothing,
and a test that cannot even begin without the guard (its fixtures break) counts as green.
"""

import sys
from collections.abc import Iterator, Sequence

from tests.spec import guard, runs
from tests.spec.catalogue import Row
from tests.spec.guard import Guard
from tests.spec.marks import Claim
from tests.spec.runs import Outcome


def main(modules: Sequence[str], rows: Sequence[Row], claims: Sequence[Claim]) -> int:
    """Prove the guards that keep a row of these modules (all if none is named): 0 when all are proven."""
    module_of = {row.id: row.module for row in rows}
    chosen = [g for g in guard.known().values() if not modules or any(module_of.get(id) in modules for id in g.rows)]
    unknown = [f"{g.name}: there is no row {id}" for g in chosen for id in g.rows if id not in module_of]
    if unknown:
        sys.stderr.write("".join(f"conformance: {line}\n" for line in unknown))
        return 2
    rows_kept = {id for g in chosen for id in g.rows}
    due = [claim for claim in claims if rows_kept.intersection(claim.ids)]
    names, ids = ",".join(g.name for g in chosen), ",".join(sorted(rows_kept))
    found = runs.run(runs.files_of(due), "--tb=no", "--guards", names, "--claims-of", ids)
    lines = [*report(chosen, due, found)]
    sys.stdout.write("\n".join(lines) + "\n")
    proven = sum(is_proven(g, due, found) for g in chosen)
    sys.stdout.write(f"{proven} of {len(chosen)} red\n")
    return 0 if proven == len(chosen) else 1


def is_proven(off: Guard, claims: Sequence[Claim], found: Sequence[Outcome]) -> bool:
    """Whether tests claim the guard's rows, and all of them pass with it and fail without."""
    claiming = _claiming(off, claims)
    return bool(claiming) and not _not_red(off, claiming, found)


def report(guards: Sequence[Guard], claims: Sequence[Claim], found: Sequence[Outcome]) -> Iterator[str]:
    """A line for each guard: name, rows, tests that turned red of those that claim; and what stayed green."""
    for off in guards:
        claiming = _claiming(off, claims)
        green = _not_red(off, claiming, found)
        red = f"{len(claiming) - len(green)}/{len(claiming)}"
        yield f"{off.name:<48} {red:>5}  {', '.join(off.rows)}"
        yield from (f"    not red: {claim.test} ({', '.join(claim.ids)}){why}" for claim, why in green.items())


def _claiming(off: Guard, claims: Sequence[Claim]) -> list[Claim]:
    return [claim for claim in dict.fromkeys(claims) if set(claim.ids).intersection(off.rows)]


def _not_red(off: Guard, claiming: Sequence[Claim], found: Sequence[Outcome]) -> dict[Claim, str]:
    """The claims that prove nothing, and why when it is not just that they stay green."""
    sound = {o.claim for o in found if not o.guard and o.passed}
    red = {o.claim for o in found if o.guard == off.name and o.failed}
    ran = {o.claim for o in found if o.guard == off.name}
    why = {}
    for claim in claiming:
        if claim not in sound:
            why[claim] = ": does not pass with the guard on"
        elif claim not in red:
            ended = [o.passed for o in found if o.guard == off.name and o.claim == claim]
            why[claim] = "" if ended == [True] else ": broke outside the test" if claim in ran else ": did not run"
    return why
