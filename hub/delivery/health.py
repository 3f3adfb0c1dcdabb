"""How a platform does, and what that lets its lanes do: a small machine, told the time.

Well: as many requests at once as the budget allows. After a failure it waits as the plan says, then one request at a
time until one succeeds, and one more with each success after that. When the plan is used up, its versions endpoint is
asked (`suspect`). Stopped (the hub's token is refused) and OFFLINE: nothing.
"""

from dataclasses import dataclass

from hub.delivery import policy

BUDGET = 8
SIGN_OF_LIFE_PAUSE = 10.0
"""Seconds between probes at the least, however often the platform itself calls."""


@dataclass(slots=True)
class Health:
    """The state of one platform; times are seconds of a monotonic clock. `returning`: it was OFFLINE and has not caught
    up yet. `short_retry`: whether it is tried again within a minute (hub.delivery.policy)."""

    budget: int = BUDGET
    short_retry: bool = True
    returning: bool = False
    window: int | None = None
    failures: int = 0
    resume_at: float = 0.0
    offline: bool = False
    stopped: bool = False
    cleared: bool = False
    probes: int = 0
    probe_at: float = 0.0
    probed_at: float = float("-inf")

    @property
    def suspect(self) -> bool:
        """Whether only a probe can tell if there is any sense in sending."""
        return self.offline or (policy.is_suspect(self.failures, self.short_retry) and not self.cleared)

    def allowance(self, now: float) -> int:
        """How many requests may be under way now."""
        if self.stopped or self.suspect or now < self.resume_at:
            return 0
        return 1 if self.failures else min(self.budget, self.window or self.budget)

    def succeeded(self) -> bool:
        """A delivery succeeded, or an OFFLINE platform answers again; True when that is news."""
        news = bool(self.failures or self.offline)
        self.returning = self.returning or self.offline
        if news:
            self.window = 1
        elif self.window is not None:
            self.window = self.window + 1 if self.window < self.budget else None
        self.failures = self.probes = 0
        self.resume_at = self.probe_at = 0.0
        self.offline = self.cleared = False
        return news

    def failed(self, now: float, jitter: float, asked: float | None = None) -> float | None:
        """A delivery failed: the seconds until the next one. None when it only confirms a failure that counted."""
        if now < self.resume_at:
            return None
        self.failures += 1
        self.cleared = False
        wait = policy.pause(self.failures, jitter, asked, self.short_retry)
        self.resume_at = now + wait
        return wait

    def hold(self, now: float, seconds: float) -> None:
        """Send nothing for a while, for a reason that is not the platform's."""
        self.resume_at = max(self.resume_at, now + seconds)

    def probe_due(self, now: float, called: bool) -> bool:
        """Whether to ask for its versions now. `called`: it has called the hub since the last probe."""
        if not self.suspect or self.stopped:
            return False
        return now >= self.probe_at or (called and now - self.probed_at >= SIGN_OF_LIFE_PAUSE)

    def probing(self, now: float, jitter: float) -> float:
        """A probe goes out: the seconds until the next one, should it fail."""
        self.probes += 1
        self.probed_at = now
        wait = policy.probe_pause(self.probes, jitter)
        self.probe_at = now + wait
        return wait

    def answered(self) -> bool:
        """The probe was answered. A platform that was OFFLINE is well (True); one that only refuses deliveries is
        tried again when its wait is over."""
        if self.offline:
            return self.succeeded()
        self.cleared, self.probes, self.probe_at = True, 0, 0.0
        return False

    def silent(self) -> None:
        """The probe was not answered."""
        self.offline = True
