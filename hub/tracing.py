"""OpenTelemetry traces of what the hub serves, passes on and delivers; off unless HUB_OTLP_URL names a collector.

All spans of one message, whichever process made them, share one trace: its id is made from the correlation id, which
OCPI carries along anyway. A span holds parties, module, status and time, never a token or a body.

While it is off, `span` hands out one object that does nothing, and nothing of OpenTelemetry is imported. It is an
extra (`telemetry`): whoever sets HUB_OTLP_URL without it is told so when the process starts.
"""

import asyncio
import contextlib
import hashlib
import importlib.util
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from hub.settings import OperatorError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span as OpenSpan
    from opentelemetry.trace import Tracer


class Span(Protocol):
    """Something that takes time."""

    def note(self, **attributes: object) -> None:
        """Say more of it: numbers as they are, all else as text; what is None is left out."""


class _Nothing:
    """The span while tracing is off."""

    def note(self, **attributes: object) -> None:
        """Say nothing."""


class _Noted:
    """A span of OpenTelemetry."""

    def __init__(self, made: "OpenSpan") -> None:
        self._made = made

    def note(self, **attributes: object) -> None:
        """Set the attributes."""
        for name, value in attributes.items():
            if value is not None:
                self._made.set_attribute(name, value if isinstance(value, int | float) else str(value))


_NOTHING: AbstractContextManager[Span] = contextlib.nullcontext(_Nothing())
_tracer: "Tracer | None" = None
_trace_id: ContextVar[int] = ContextVar("trace_id")


def span(name: str, correlation_id: str, **attributes: object) -> AbstractContextManager[Span]:
    """`with tracing.span("forward", correlation_id, module=...) as span:` times what is inside, below the span that is
    open around it, if one is. An exception marks it as failed, by its type alone."""
    return _NOTHING if _tracer is None else _span(_tracer, name, correlation_id, attributes)


def require(url: str) -> None:
    """Raise OperatorError if traces are wanted and cannot be made."""
    if url and not all(map(_installed, ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"))):
        raise OperatorError(
            "HUB_OTLP_URL is set, but OpenTelemetry is not installed: `uv sync --extra telemetry` "
            "(or `pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http`), or unset HUB_OTLP_URL"
        )


@contextlib.asynccontextmanager
async def running(url: str, process: str, exporter: "SpanExporter | None" = None) -> AsyncIterator[None]:
    """Send the spans of this process to the collector at `url` until the block ends; "" is no tracing. To be entered
    after a fork. Tests hand in an exporter of their own."""
    if not url and exporter is None:
        yield
        return
    require(url)
    global _tracer
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class Ids(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            return _trace_id.get()

    provider = TracerProvider(id_generator=Ids(), resource=Resource.create({"service.name": f"knutpunkt-{process}"}))
    provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter(f"{url}/v1/traces", timeout=5)))
    _tracer = provider.get_tracer("knutpunkt")
    try:
        yield
    finally:
        _tracer = None
        await asyncio.to_thread(provider.shutdown)  # sends what is left


@contextlib.contextmanager
def _span(tracer: "Tracer", name: str, correlation_id: str, attributes: Mapping[str, object]) -> Iterator[Span]:
    from opentelemetry.trace import StatusCode

    _trace_id.set(int.from_bytes(hashlib.sha256(correlation_id.encode()).digest()[:16]) or 1)
    with tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False) as made:
        noted = _Noted(made)
        noted.note(correlation_id=correlation_id, **attributes)
        try:
            yield noted
        except BaseException as error:
            made.set_status(StatusCode.ERROR, type(error).__name__)
            raise


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package it lies in
        return False
