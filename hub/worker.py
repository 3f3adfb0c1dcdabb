"""The worker: Celery around the delivery engine.

Celery is the doorbell and the clock, nothing else: tasks carry no data, leave no results, are not retried, and may be
lost, doubled or late. Each pool process runs one engine; several processes or machines share the lanes among them.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from celery import Celery, signals
from celery.worker.consumer import Consumer

from hub import garbage, metrics, tracing
from hub.delivery import broker, tasks
from hub.delivery.announce import Announcer
from hub.delivery.chores import Chores
from hub.delivery.engine import Engine
from hub.delivery.policy import Judgement, Verdict
from hub.exchange import peers, renewal, restored
from hub.exchange.context import Hub
from hub.exchange.puller import Puller
from hub.exchange.reconciler import Reconciler
from hub.settings import Settings
from hub.store.heartbeats import Pulse
from modules.catalog import CATALOG

celery = Celery("knutpunkt")
celery.conf.update(broker.configuration(Settings.load().broker))
celery.conf.update(
    accept_content=["json"],
    task_serializer="json",
    result_serializer="json",
    event_serializer="json",
    task_ignore_result=True,
    task_store_errors_even_if_ignored=False,
    task_routes={name: {"queue": broker.CRON} for name in (tasks.PRUNE, tasks.EXPIRE, tasks.BEAT)},
    worker_consumer="hub.worker:Listener",
    worker_enable_remote_control=False,  # whoever reaches the broker can ring, and nothing else
    worker_prefetch_multiplier=1,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_channel_error_retry=True,  # a Redis that is full refuses even an acknowledgement: no reason to end
    timezone="UTC",
    beat_schedule={
        "show that the clock is heard": {"task": tasks.BEAT, "schedule": timedelta(seconds=10)},
        "prune the change log": {"task": tasks.PRUNE, "schedule": timedelta(hours=1)},
        "expire callbacks and tokens": {"task": tasks.EXPIRE, "schedule": timedelta(minutes=5)},
    },
)


class Listener(Consumer):  # type: ignore[misc]
    """Celery's consumer, without the 28 queues it would set up on RabbitMQ for delayed tasks: we have none."""

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc]
        """Its steps."""

        default_steps = tuple(step for step in Consumer.Blueprint.default_steps if "DelayedDelivery" not in step)


@asynccontextmanager
async def opening() -> AsyncIterator[tuple[Engine, Chores]]:
    """The engine of a worker process, and its chores."""
    settings = Settings.load()
    async with tracing.running(settings.otlp_url, "worker"), Hub.open(settings, CATALOG) as hub:
        engine = Engine(
            db=hub.db,
            outbound=hub.outbound,
            directory=hub.directory,
            catalog=hub.catalog,
            code=hub.code,
            note=hub.journal.note,
            silence=settings.alive_after,
            outcome=_count,
        )
        metrics.LANES_HELD.set_function(lambda: len(engine.receivers))
        metrics.UNDER_WAY.set_function(lambda: engine.under_way)
        pulse = Pulse.beating(hub.db, "worker", partial(metrics.figures, metrics.WORKER))
        planned = settings.without_agreement == "planned"
        announcer = Announcer(hub.db, hub.directory, hub.outbound, hub.code, hub.journal.note, planned)
        async with (
            pulse,
            Puller.running(hub),
            Reconciler.running(hub),
            announcer.running(),
            peers.reading_lists(hub),
            renewal.settling(hub),
            restored.resuming(hub),
        ):
            yield engine, Chores(hub.db, hub.settings.message_retention)


def _count(judgement: Judgement) -> None:
    if judgement.http_status is not None or judgement.verdict is not Verdict.DELIVERED:  # else nothing was sent
        metrics.deliveries(judgement.verdict.name.lower()).inc()


def begin(**_: object) -> None:
    """After the fork: the engine starts on a thread of its own."""
    garbage.settle()
    tasks.runtime.start(opening)


def end(**_: object) -> None:
    """Before the process ends: what is under way is finished, lanes are let go."""
    tasks.runtime.stop()


signals.worker_process_init.connect(begin)
signals.worker_process_shutdown.connect(end)
