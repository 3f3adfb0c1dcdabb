"""Logs: one line an event, in UTC, whoever wrote it.

Our own modules log through structlog, the libraries (uvicorn, celery, sqlalchemy, alembic) through `logging`;
both end in the same handler on stderr, as JSON or as lines for people. What is bound with `bound`, above all
the correlation_id of the message at hand, stands on every line written meanwhile, by libraries too.

Partners choose much of what is logged. No control character of theirs reaches the terminal or starts a line
that looks like one of ours: every value is escaped, and the lines of a traceback are marked.
"""

import logging
import sys
import unicodedata
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

# Libraries that announce every request or frame at INFO: a hub would drown in it.
TALKATIVE = (
    "httpx",
    "httpcore",
    "aiohttp.access",
    "websockets",
    "asyncio",
    "uvicorn.access",
    "celery.worker.strategy",
    "celery.app.trace",
    "celery.beat",
    "alembic.runtime.plugins",
)
HANDLED = ("uvicorn", "uvicorn.error", "uvicorn.access", "celery", "celery.task", "alembic", "sqlalchemy")
TRACEBACKS = ("exception", "stack")


def setup(level: str = "INFO", style: str = "console", process: str = "", stream: TextIO | None = None) -> None:
    """Send the logs of this process to `stream` (stderr) as "json" or "console" lines that name the process.

    Safe to repeat: the last call counts.
    """
    target = stream or sys.stderr
    gather = _gather(process)
    structlog.configure(
        processors=[*gather, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), _plain, *gather],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                escape,
                *_render(style, colors=target.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    for name in HANDLED:
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def logger(name: str) -> FilteringBoundLogger:
    """The logger of a module: `log = telemetry.logger(__name__)`, `log.info("what happened", party=...)`."""
    bound_logger: FilteringBoundLogger = structlog.get_logger(name)
    return bound_logger


def bound(**values: object) -> AbstractContextManager[None]:
    """Put `values` on every line logged inside the `with`, in this task and those it starts."""
    return structlog.contextvars.bound_contextvars(**values)


def printable(text: str, keep: str = "") -> str:
    """`text` with every character escaped that could end the line, move the cursor or turn the writing."""
    return text if text.isprintable() else "".join(c if c in keep or _harmless(c) else _escaped(c) for c in text)


def escape(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """The structlog step that applies `printable` to all names and values."""
    return {
        printable(name): _traceback(value) if name in TRACEBACKS else _clean(value) for name, value in event.items()
    }


def _plain(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event.pop("color_message", None)  # uvicorn says everything twice, once in colour
    return event


def _gather(process: str) -> list[Processor]:
    def name_process(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {**event, "process": process} if process else event

    return [
        name_process,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]


def _render(style: str, colors: bool) -> list[Processor]:
    if style == "json":
        return [structlog.processors.EventRenamer("message"), structlog.processors.JSONRenderer(ensure_ascii=False)]
    return [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)]


def _clean(value: object) -> object:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(str(key)): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return printable(str(value))


def _traceback(value: object) -> str:
    return "\n".join("  | " + line for line in printable(str(value), keep="\n").split("\n"))


def _harmless(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
