"""The Celery tasks: two-line shims that poke the engine's loop. Each may be lost, doubled or late."""

from celery import shared_task

from hub.delivery import chores
from hub.delivery.bell import TASK
from hub.delivery.runtime import Runtime

CRON = "cron"
PRUNE = "cron.prune"
EXPIRE = "cron.expire"

runtime = Runtime()
"""The engine of this worker process."""


def ring() -> None:
    """Somebody has something new."""
    runtime.wake()


def prune() -> None:
    """Old rows of the change log go."""
    runtime.submit(chores.prune)


def expire() -> None:
    """Callbacks and tokens whose time is over go."""
    runtime.submit(chores.expire)


for name, task in {TASK: ring, PRUNE: prune, EXPIRE: expire}.items():
    shared_task(name=name)(task)
