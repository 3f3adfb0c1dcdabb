"""The broker between the bell and the workers, Redis or RabbitMQ by its URL: what both ends must say alike of it.

RabbitMQ refuses a queue that is declared once more with other properties, so the queues are described here alone. On
RabbitMQ they are quorum queues, the kind that survives the loss of a node; a classic queue lives on one.
"""

from typing import Any

from celery import Celery

PUSH, CRON = "push", "cron"

_REDIS_OPTIONS = {"visibility_timeout": 60, "unacked_restore_interval": 1, "unacked_restore_throttle": 1}


def configuration(url: str) -> dict[str, Any]:
    """Celery's settings for this broker: its address, the queues and how they are made."""
    rabbitmq = _is_rabbitmq(url)
    kind = {"queue_arguments": {"x-queue-type": "quorum"}} if rabbitmq else {}
    return {
        "broker_url": url or None,
        "broker_transport_options": {} if rabbitmq else _REDIS_OPTIONS,
        "task_queues": {name: {"exchange": name, "routing_key": name} | kind for name in (PUSH, CRON)},
        "task_default_queue": PUSH,
        "task_create_missing_queues": False,
    }


def impatience(url: str, seconds: float) -> dict[str, float]:
    """The transport options for whoever cannot wait: a broker that is silent for so long counts as away."""
    names = ("read_timeout", "write_timeout") if _is_rabbitmq(url) else ("socket_timeout", "socket_connect_timeout")
    return dict.fromkeys(names, seconds)


def knock(url: str, patience: float) -> None:
    """Connect, and say goodbye. Raises an error of the broker's kind if it is away, silent for `patience` seconds, or
    does not let us in."""
    celery = Celery("knock", broker=url, set_as_current=False)
    celery.conf.broker_transport_options = impatience(url, patience)
    with celery.connection_for_write(connect_timeout=patience) as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=patience)


def _is_rabbitmq(url: str) -> bool:
    return url.startswith("amqp")
