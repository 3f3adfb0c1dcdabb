"""hub.delivery.broker: one description of the queues for both ends, by the kind of broker."""

from typing import Any

import pytest
from celery import Celery

from hub.delivery import broker
from hub.delivery.bell import Bell

RABBITMQ = ("amqp://user:secret@broker:5672/hub", "amqps://user:secret@broker/hub")
REDIS = ("redis://broker:6379/0", "rediss://:secret@broker/0")


def _queues(url: str) -> dict[str, Any]:
    celery = Celery("test", set_as_current=False)
    celery.conf.update(broker.configuration(url))
    return {name: queue.queue_arguments for name, queue in celery.amqp.queues.items()}


@pytest.mark.parametrize("url", RABBITMQ)
def test_queues_on_rabbitmq_survive_the_loss_of_a_node(url: str) -> None:
    assert _queues(url) == {name: {"x-queue-type": "quorum"} for name in (broker.PUSH, broker.CRON)}
    assert broker.configuration(url)["broker_transport_options"] == {}


@pytest.mark.parametrize("url", REDIS)
def test_queues_on_redis_are_plain_and_what_a_dead_worker_held_comes_back_soon(url: str) -> None:
    assert _queues(url) == {broker.PUSH: None, broker.CRON: None}
    assert broker.configuration(url)["broker_transport_options"]["visibility_timeout"] == 60


@pytest.mark.parametrize("url", [*RABBITMQ, *REDIS])
def test_the_bell_declares_what_the_workers_declare(url: str) -> None:
    bell = Bell(url)
    declared = {name: queue.as_dict(recurse=True) for name, queue in bell._celery.amqp.queues.items()}
    workers = Celery("test", set_as_current=False)
    workers.conf.update(broker.configuration(url))
    assert declared == {name: queue.as_dict(recurse=True) for name, queue in workers.amqp.queues.items()}
    bell.stop()


def test_a_broker_that_is_there_lets_us_in(redis_url: str) -> None:
    broker.knock(redis_url, patience=5)


@pytest.mark.parametrize("url", ["redis://127.0.0.1:9/0", "amqp://user:secret@127.0.0.1:9/hub"])
def test_a_broker_that_is_away_is_an_error(url: str) -> None:
    with pytest.raises(Exception, match="refused"):
        broker.knock(url, patience=1)


def test_a_broker_that_does_not_know_us_is_an_error(redis_url: str) -> None:
    with pytest.raises(Exception, match=r"(?i)password|auth"):
        broker.knock(f"redis://:wrong@{redis_url.rpartition('@')[2]}", patience=5)
