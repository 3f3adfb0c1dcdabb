"""The doorbell: tells the workers that there is something new, as soon as that can be, and at no cost to the caller.

`ring` sets a flag. One thread per process turns flags into Celery tasks, one task for all that happened since the
last, at most one every 5 ms, and a twentieth of a core at the most. It may fail: tasks can be lost, doubled or
late, because the workers look for themselves once a second. With the broker gone a breaker keeps the thread from trying
all the time, and while nobody answers the door (the queue is long) it does not go on ringing.
"""

import threading
import time

from celery import Celery
from kombu.exceptions import ChannelError

from hub import telemetry
from hub.delivery import broker

TASK = "push.ring"

PACE = 0.005
SHARE = 20
FIRST_BREAK, LONGEST_BREAK = 0.5, 30.0
CHECK_EVERY = 1.0
LONG_QUEUE = 50
PATIENCE = 2.0

log = telemetry.logger(__name__)


class Bell:
    """The bell of one process; without `start` it is silent."""

    def __init__(self, broker_url: str) -> None:
        self._celery = Celery("bell", set_as_current=False)
        self._celery.conf.update(broker.configuration(broker_url))
        self._celery.conf.update(
            task_ignore_result=True,
            task_serializer="json",
            broker_connection_timeout=PATIENCE,
            broker_transport_options=broker.impatience(broker_url, PATIENCE),
        )
        self._rung = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._break = FIRST_BREAK
        self._checked_at = 0.0
        self._answered = True

    def ring(self) -> None:
        """There is something new. Takes no time, never fails, from any thread."""
        self._rung.set()

    def start(self) -> None:
        """Begin to pass rings on."""
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, name="bell", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; a ring that was not passed on is left to the sweep."""
        self._stopped.set()
        self._rung.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        self._celery.close()

    def _run(self) -> None:
        while True:
            self._rung.wait()
            if self._stopped.is_set():
                return
            self._rung.clear()
            self._stopped.wait(self._pass_on())

    def _pass_on(self) -> float:
        """Ring once; the seconds to be silent after it."""
        try:
            if time.monotonic() - self._checked_at > CHECK_EVERY:
                self._answered = self._queue_length() < LONG_QUEUE
                self._checked_at = time.monotonic()
            if not self._answered:
                return CHECK_EVERY
            begun = time.thread_time()
            self._celery.send_task(TASK, queue=broker.PUSH, ignore_result=True, retry=False)
        except Exception as error:  # whatever a broker may do: this thread must not end
            if self._break == FIRST_BREAK:
                log.warning(
                    "the broker is away: workers notice changes by their own sweep, within 1 s", error=repr(error)
                )
            pause, self._break = self._break, min(2 * self._break, LONGEST_BREAK)
            return pause
        self._break = FIRST_BREAK
        return max(PACE, SHARE * (time.thread_time() - begun))

    def _queue_length(self) -> int:
        """How many rings nobody has taken."""
        with self._celery.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=PATIENCE)
            try:
                return int(connection.default_channel.queue_declare(broker.PUSH, passive=True).message_count)
            except ChannelError:
                return 0
