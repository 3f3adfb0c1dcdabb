"""The Celery tasks: two-line shims that poke the engine's loop. Each may be lost, doubled or late."""

from celery import shared_task

from hub.delivery.bell import TASK
from hub.delivery.chores import Chores
from hub.delivery.runtime import Runtime

PRUNE = "cron.prune"
EXPIRE = "cron.expire"
BEAT = "cron.beat"

runtime = Runtime()
"""The engine of this worker process."""


def ring() -> None:
    """Somebody has something new."""
    runtime.wake()


def prune() -> None:
    """Old rows of the change log go."""
    runtime.submit(Chores.prune)


def expire() -> None:
    """Callbacks, tokens and hops whose time is over go."""
    runtime.submit(Chores.expire)


def beat() -> None:
    """The clock is heard: beat, broker and this worker live."""
    runtime.submit(Chores.heard)


for name, task in {TASK: ring, PRUNE: prune, EXPIRE: expire, BEAT: beat}.items():
    shared_task(name=name)(task)
