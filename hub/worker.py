"""The worker: Celery around the delivery engine.

Celery is the doorbell and the clock, nothing else: tasks carry no data, leave no results, are not retried, and may be
lost, doubled or late. Each pool process runs one engine; several processes or machines share the lanes among them.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from celery import Celery, signals

from hub.delivery import tasks
from hub.delivery.bell import QUEUE
from hub.delivery.engine import Engine
from hub.exchange.context import Hub
from hub.settings import Settings
from hub.store.db import Database
from modules.catalog import CATALOG

celery = Celery("knutpunkt", broker=Settings.load().redis_url or None)
celery.conf.update(
    accept_content=["json"],
    task_serializer="json",
    result_serializer="json",
    event_serializer="json",
    task_ignore_result=True,
    task_store_errors_even_if_ignored=False,
    task_queues={name: {"exchange": name, "routing_key": name} for name in (QUEUE, tasks.CRON)},
    task_default_queue=QUEUE,
    task_routes={tasks.PRUNE: {"queue": tasks.CRON}, tasks.EXPIRE: {"queue": tasks.CRON}},
    task_create_missing_queues=False,
    worker_prefetch_multiplier=1,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={
        "visibility_timeout": 60,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
    },
    timezone="UTC",
    beat_schedule={
        "prune the change log": {"task": tasks.PRUNE, "schedule": timedelta(hours=1)},
        "expire callbacks and tokens": {"task": tasks.EXPIRE, "schedule": timedelta(minutes=5)},
    },
)


@asynccontextmanager
async def opening() -> AsyncIterator[tuple[Engine, Database]]:
    """The engine of a worker process and the database it works on."""
    async with Hub.open(Settings.load(), CATALOG) as hub:
        engine = Engine(
            db=hub.db,
            outbound=hub.outbound,
            directory=hub.directory,
            catalog=hub.catalog,
            code=hub.code,
            note=hub.journal.note,
        )
        yield engine, hub.db


def begin(**_: object) -> None:
    """After the fork: the engine starts on a thread of its own."""
    tasks.runtime.start(opening)


def end(**_: object) -> None:
    """Before the process ends: what is under way is finished, lanes are let go."""
    tasks.runtime.stop()


signals.worker_process_init.connect(begin)
signals.worker_process_shutdown.connect(end)
