"""What the senders push: always the same for a seed, in rising versions, readable wherever it arrives."""

import itertools
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from hub.ocpi import json
from hub.ocpi.types import Schema, check
from modules.cdrs.schemas import CDR
from modules.locations.schemas import EVSE, Location
from modules.sessions.schemas import Session
from modules.tariffs.schemas import Tariff
from tests.chaos import marks
from tests.chaos.load import MIX, Hand, Push

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
WHOLE: dict[str, type[Schema]] = {
    "location put": Location,
    "evse put": EVSE,
    "tariff put": Tariff,
    "session put": Session,
    "cdr post": CDR,
}


def pushes(count: int, hand: int = 0, **given: Any) -> list[Push]:
    asked: dict[str, Any] = {"seed": 1, "since": SINCE, "receivers": ["DE*AA0", "DE*AB0"], "objects": 3} | given
    return list(itertools.islice(Hand(hand, 2, **asked).pushes(), count))


def test_a_seed_gives_the_same_pushes() -> None:
    assert pushes(50) == pushes(50)
    assert pushes(50) != pushes(50, seed=2)


def test_the_mix_is_the_one_wanted() -> None:
    found = Counter(push.kind for push in pushes(4_000))
    assert sum(MIX.values()) == 100
    assert abs(found["cdr post"] / 4_000 - 0.30) < 0.03
    assert set(found) == set(MIX)


def test_versions_of_a_part_rise_and_so_do_their_moments() -> None:
    last: dict[str, tuple[int, str]] = {}
    for push in pushes(500):
        for part, version in push.parts:
            now = (version, push.body["last_updated"])
            assert now > last.get(part, (0, ""))
            last[part] = now


def test_hands_share_neither_objects_nor_versions() -> None:
    one, other = pushes(200), pushes(200, hand=1)
    assert not {part for push in one for part, _ in push.parts} & {part for push in other for part, _ in push.parts}
    assert not {push.cdr for push in one if push.cdr} & {push.cdr for push in other}


def test_an_object_is_put_before_parts_of_it_are_changed() -> None:
    known = set()
    for push in pushes(300):
        if push.module == "locations":
            assert push.kind == "location put" or push.path[0] in known
            known.add(push.path[0])


def test_what_is_sent_is_what_ocpi_wants() -> None:
    for push in pushes(300):
        if push.kind in WHOLE:
            assert not check(WHOLE[push.kind], json.loads(json.dumps(push.body)))


def test_the_version_is_read_from_each_part_of_a_body() -> None:
    put = next(push for push in pushes(50) if push.kind == "location put")
    ((whole, number), *_) = put.parts
    assert marks.parts("locations", list(put.path), put.body) == {
        whole: number,
        f"{whole}/EVSE1": number,
        f"{whole}/EVSE2": number,
    }
    assert marks.parts("locations", ["L1", "EVSE1"], {"status": "CHARGING"}) == {}
    assert marks.parts("tariffs", ["T1"], marks.mark("tariffs", 12)) == {"tariffs/T1": 12}
