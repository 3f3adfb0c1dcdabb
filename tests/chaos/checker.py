"""Holds the ledgers against each other. Nothing of the hub is used here: only what the senders were answered, what the
receivers were sent, and which CDRs stand in the hub's ledger.

Lines of the senders: outcome (ok, info, refused), to (a party or * for all), parts (versions by part) or cdr and hash.
Lines of the receivers: receiver, status (how it was answered), parts or cdr and hash. `t` is a moment of one
monotonic clock.

What was answered with "info" (nobody knows) may have been taken or not: it is never demanded and never held against
the hub.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

EVERYBODY = "*"
EXAMPLES = 5

Line = Mapping[str, Any]
Key = tuple[str, str]
"""A receiver and a part."""


@dataclass(frozen=True)
class Sent:
    """A CDR as its owner sent it. `acked`: when it was first answered with success, if ever."""

    to: str
    hash: str
    acked: float | None


class Checker:
    """Reads the lines as they come. `receivers` are those entitled to all that is broadcast."""

    def __init__(self, receivers: Sequence[str]) -> None:
        self.receivers = list(receivers)
        self.acked = self.unknown = self.refused = self.arrived = self.unwelcome = 0
        self.arrived_at = self.acked_at = 0.0
        self.refusals: list[str] = []
        self.backwards: list[str] = []
        self._acks: list[float] = []
        self._acked: dict[str, dict[int, float]] = defaultdict(dict)  # by part, version: when
        self._newest: dict[str, int] = {}  # acknowledged, by part
        self._possible: dict[str, set[int]] = defaultdict(set)
        self._audience: dict[str, str] = {}
        self._held: dict[Key, int] = {}
        self._highest: dict[Key, int] = {}
        self._came: dict[Key, list[tuple[int, float]]] = defaultdict(list)  # versions newer than all before, and when
        self._cdrs: dict[str, Sent] = {}
        self._posts: dict[str, list[tuple[str, str, float]]] = defaultdict(list)  # by id: receiver, hash, when

    def feed(self, line: Line) -> None:
        """Take a line of either kind."""
        if "outcome" in line:
            self._sent(line)
        elif line["status"] < 300:
            self._received(line)
        else:
            self.unwelcome += 1

    # What must hold

    def missing(self) -> list[str]:
        """What was acknowledged and is not where it belongs."""
        found = []
        for part, version in self._newest.items():
            for receiver in self._entitled(part):
                held = self._held.get((receiver, part))
                if held is None or held < version:
                    found.append(f"{receiver} has {_version(held)} of {part}, v{version} was acknowledged")
        for cdr, sent in self._cdrs.items():
            if sent.acked is not None and not any(receiver == sent.to for receiver, *_ in self._posts.get(cdr, ())):
                found.append(f"{sent.to} never got the CDR {cdr}, which was acknowledged")
        return found

    def invented(self) -> list[str]:
        """Versions at a receiver that nobody sent, or that were refused."""
        return [
            f"{receiver} has v{held} of {part}, which nobody pushed with success"
            for (receiver, part), held in self._held.items()
            if held not in self._possible[part]
        ]

    def divided(self) -> list[str]:
        """Parts of which two entitled receivers hold different versions."""
        found = []
        for part in self._newest:
            held = {receiver: self._held.get((receiver, part)) for receiver in self._entitled(part)}
            if len(set(held.values())) > 1:
                found.append(f"{part} is held in different versions: {held}")
        return found

    def cdr_faults(self, ledger: Iterable[str]) -> list[str]:
        """What is wrong with the CDRs; `ledger` are the ids in the hub's ledger, in any case."""
        kept = Counter(key.casefold() for key in ledger)
        found = [f"the CDR {cdr} stands {count} times in the ledger" for cdr, count in kept.items() if count > 1]
        known = {cdr.casefold() for cdr in self._cdrs}
        found += [f"the ledger has a CDR {cdr} that nobody sent" for cdr in kept if cdr not in known]
        for cdr, sent in self._cdrs.items():
            if sent.acked is not None and not kept[cdr.casefold()]:
                found.append(f"the CDR {cdr} was acknowledged and is not in the ledger")
            for receiver, digest, _ in self._posts.get(cdr, ()):
                if receiver != sent.to:
                    found.append(f"the CDR {cdr} for {sent.to} was sent to {receiver}")
                if digest != sent.hash:
                    found.append(f"the CDR {cdr} reached {receiver} with other bytes than were sent")
        found += [
            f"{posts[0][0]} got a CDR {cdr} that nobody sent"
            for cdr, posts in self._posts.items()
            if cdr not in self._cdrs
        ]
        return found

    def faults(self, ledger: Iterable[str], *, repeats: int | None = None) -> list[str]:
        """Everything, as sentences with examples. `repeats` is how many POSTs may have been repeated at the most."""
        told = {
            "lost": self.missing(),
            "backwards": self.backwards,
            "invented": self.invented(),
            "divided": self.divided(),
            "CDRs": self.cdr_faults(ledger),
            "refused": self.refusals,
        }
        found = [
            f"{name}: {len(lines)}, such as: {'; '.join(lines[:EXAMPLES])}" for name, lines in told.items() if lines
        ]
        if repeats is not None and self.repeated > repeats:
            found.append(f"repeated: {self.repeated} POSTs of CDRs, at most {repeats} were to be expected")
        return found

    # Figures

    @property
    def repeated(self) -> int:
        """POSTs of a CDR after its first."""
        return sum(len(posts) - 1 for posts in self._posts.values())

    @property
    def cdrs(self) -> int:
        """CDRs that were acknowledged."""
        return sum(sent.acked is not None for sent in self._cdrs.values())

    def figures(self) -> dict[str, Any]:
        """What is told of every run."""
        return {
            "acknowledged": self.acked,
            "unknown": self.unknown,
            "refused": self.refused,
            "delivered": self.arrived,
            "lost": len(self.missing()),
            "backwards": len(self.backwards),
            "cdrs": self.cdrs,
            "repeated_posts": self.repeated,
        }

    def drained_at(self) -> float:
        """When the last receiver got the last thing that was acknowledged; 0 if nothing was."""
        moments = [0.0]
        for part, version in self._newest.items():
            for receiver in self._entitled(part):
                moments.append(self._arrival((receiver, part), version) or 0.0)
        for cdr, sent in self._cdrs.items():
            if sent.acked is not None:
                moments += [t for *_, t in self._posts.get(cdr, ())][:1]
        return max(moments)

    def delays(self, since: float, until: float) -> list[float]:
        """Seconds from each acknowledgement between two moments until each receiver had that version or a newer one,
        in rising order; infinite for what never came."""
        found = []
        for part, versions in self._acked.items():
            chosen = [(version, t) for version, t in versions.items() if since <= t < until]
            for receiver in self._entitled(part) if chosen else ():
                for version, acked in chosen:
                    arrived = self._arrival((receiver, part), version)
                    found.append(float("inf") if arrived is None else max(0.0, arrived - acked))
        return sorted(found)

    def acked_between(self, since: float, until: float) -> int:
        """Pushes that were acknowledged between two moments."""
        return sum(since <= t < until for t in self._acks)

    def _sent(self, line: Line) -> None:
        outcome = line["outcome"]
        if outcome == "ok":
            self.acked += 1
            self._acks.append(line["t"])
            self.acked_at = max(self.acked_at, line["t"])
        elif outcome == "info":
            self.unknown += 1
        else:
            self.refused += 1
            self.refusals.append(f"{line['kind']} {line.get('cdr') or line['parts']}: {line.get('message')}")
        if "cdr" in line:
            self._sent_cdr(line, outcome == "ok")
        elif outcome != "refused":
            self._sent_state(line, outcome == "ok")

    def _sent_cdr(self, line: Line, acked: bool) -> None:
        before = self._cdrs.get(line["cdr"])
        when = before.acked if before and before.acked is not None else line["t"] if acked else None
        self._cdrs[line["cdr"]] = Sent(line["to"], line["hash"], when)

    def _sent_state(self, line: Line, acked: bool) -> None:
        for part, version in line["parts"].items():
            self._audience[part] = line["to"]
            self._possible[part].add(version)
            if acked:
                self._newest[part] = max(self._newest.get(part, 0), version)
                self._acked[part].setdefault(version, line["t"])

    def _received(self, line: Line) -> None:
        self.arrived += 1
        self.arrived_at = max(self.arrived_at, line["t"])
        receiver = line["receiver"]
        if "cdr" in line:
            self._posts[line["cdr"]].append((receiver, line["hash"], line["t"]))
            return
        for part, version in line.get("parts", {}).items():
            key = (receiver, part)
            if version < (highest := self._highest.get(key, 0)):
                self.backwards.append(f"{receiver} got v{version} of {part} after v{highest}, at {line['t']:.3f}")
            elif version > highest:
                self._highest[key] = version
                self._came[key].append((version, line["t"]))
            self._held[key] = version

    def _arrival(self, key: Key, version: int) -> float | None:
        """When a receiver first got this version or a newer one."""
        came = self._came.get(key, [])
        at = bisect_left(came, (version, 0.0))
        return came[at][1] if at < len(came) else None

    def _entitled(self, part: str) -> Sequence[str]:
        to = self._audience[part]
        return self.receivers if to == EVERYBODY else [to]


def _version(number: int | None) -> str:
    return "nothing" if number is None else f"v{number}"
