"""The catalogue: OCPI 2.2.1 as rows that can be tested, what of it waits and what is exempt.

catalogue.csv holds the rows, their ids for good. waiting.csv names rows whose part of the product is not built yet,
exempt.csv those that no test here can prove; each with its reason.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

HERE = Path(__file__).parent

MOST_EXEMPT = 10
"""So many rows of the hub's own duties may be exempt."""


class Duty(StrEnum):
    """Whose duty a row is, and how strong."""

    OWN = "MUST, hub and both"
    OTHER = "MUST, sender or receiver"
    SHOULD = "SHOULD"
    MAY = "MAY"


@dataclass(frozen=True)
class Row:
    """A requirement. `waits` and `exempt` give the reason, empty when it does not and is not."""

    id: str
    module: str
    role: str
    strength: str
    requirement: str
    waits: str = ""
    exempt: str = ""

    @property
    def duty(self) -> Duty:
        """The part of the table it counts in."""
        if self.strength != "MUST":
            return Duty(self.strength)
        return Duty.OWN if self.role in ("hub", "both") else Duty.OTHER


def read(folder: Path = HERE) -> list[Row]:
    """Every row that counts, in the order of the catalogue; those that were withdrawn (VOID) are left out."""
    waits, exempt = _reasons(folder / "waiting.csv"), _reasons(folder / "exempt.csv")
    return [
        Row(
            entry["id"],
            entry["module"],
            entry["role"],
            entry["strength"],
            entry["requirement"],
            waits.get(entry["id"], ""),
            exempt.get(entry["id"], ""),
        )
        for entry in _lines(folder / "catalogue.csv")
        if "VOID" not in (entry["strength"], entry["requirement"][:4])
    ]


def faults(rows: Sequence[Row], claimed: set[str], folder: Path = HERE) -> list[str]:
    """What is wrong with waiting.csv and exempt.csv, a line each; `claimed` are the ids that tests claim."""
    known = {row.id: row for row in rows}
    found = []
    for name in ("waiting.csv", "exempt.csv"):
        reasons = _reasons(folder / name)
        found += [f"{name}: there is no row {id}" for id in reasons if id not in known]
        found += [f"{name}: {id} is there without a reason" for id, reason in reasons.items() if not reason.strip()]
    found += [f"exempt.csv: {row.id} is exempt and waits" for row in rows if row.exempt and row.waits]
    found += [f"exempt.csv: {row.id} has a test, it is not exempt" for row in rows if row.exempt and row.id in claimed]
    own = [row for row in rows if row.exempt and row.duty is Duty.OWN]
    if len(own) > MOST_EXEMPT:
        found.append(f"exempt.csv: {len(own)} rows are the hub's own duty, {MOST_EXEMPT} at most may be exempt")
    return found


def _reasons(file: Path) -> dict[str, str]:
    return {entry["id"]: entry["reason"] for entry in _lines(file)}


def _lines(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))
