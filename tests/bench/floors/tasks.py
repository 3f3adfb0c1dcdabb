"""The other floor of delivery: what most would build, one Celery task per delivery.

The worker process keeps one loop with one aiohttp session on a thread; each task has it send, and waits.
"""

import asyncio
import json
import os
import threading

import aiohttp
from celery import Celery, signals

celery = Celery("floor", broker=os.environ["BENCH_BROKER"])
celery.conf.update(task_ignore_result=True, task_serializer="json", accept_content=["json"])
loop = asyncio.new_event_loop()
sessions: list[aiohttp.ClientSession] = []


def begin(**_: object) -> None:
    """After the fork."""
    threading.Thread(target=loop.run_forever, daemon=True).start()
    asyncio.run_coroutine_threadsafe(_open(), loop).result()


async def _open() -> None:
    sessions.append(aiohttp.ClientSession(headers={"Content-Type": "application/json"}))


async def _put(url: str, body: str) -> None:
    async with sessions[0].put(url, data=body.encode()) as answer:
        assert json.loads(await answer.read())["status_code"] == 1000


def deliver(url: str, body: str) -> None:
    """One delivery."""
    asyncio.run_coroutine_threadsafe(_put(url, body), loop).result()


celery.task(name="floor.deliver")(deliver)
signals.worker_process_init.connect(begin)
