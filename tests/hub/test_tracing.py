"""Traces: nothing while they are off; what is served, passed on and delivered once they are on, without secrets."""

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hub import tracing
from hub.delivery.engine import Engine
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.settings import OperatorError
from modules.catalog import CATALOG


@pytest.fixture
async def parties(running: Any) -> AsyncIterator[tuple[CpoBackend, Emsp]]:
    """A CPO and an eMSP, connected."""
    async with CpoBackend("NL*CPA") as cpo, Emsp("DE*MSA") as emsp:
        await running.join(cpo, "CPO")
        await running.join(emsp, "EMSP")
        yield cpo, emsp


def attributes(span: ReadableSpan) -> dict[str, Any]:
    """Its attributes but for the correlation id."""
    return {name: value for name, value in (span.attributes or {}).items() if name != "correlation_id"}


def test_off_it_is_one_object_that_does_nothing() -> None:
    with tracing.span("serve", "c-1", module="locations") as one:
        one.note(http_status=200)
    assert tracing.span("serve", "c-2") is tracing.span("forward", "c-3")


async def test_a_message_is_one_trace_through_serving_passing_on_and_delivering(
    running: Any, parties: tuple[CpoBackend, Emsp]
) -> None:
    (cpo, emsp), exporter, hub = parties, InMemorySpanExporter(), running.hub
    engine = Engine(
        db=hub.db, outbound=hub.outbound, directory=hub.directory, catalog=CATALOG, code=hub.code,
        note=hub.journal.note,
    )  # fmt: skip
    async with tracing.running("", "test", exporter):
        direct = await cpo.put_tariff(samples.tariff("NL*CPA", "T1"), to="DE*MSA")
        broadcast = await cpo.put_tariff(samples.tariff("NL*CPA", "T2"), to=cpo.hub)
        await engine.start()
        await emsp.until(lambda: emsp.tariffs.get("NL", "CPA", "T2"))
        await engine.drain()
    spans = {(span.name, (span.attributes or {})["correlation_id"]): span for span in exporter.get_finished_spans()}
    serve, forward = spans["serve", direct.correlation_id], spans["forward", direct.correlation_id]
    assert attributes(serve) == {
        "interface": "receiver", "module": "tariffs", "method": "PUT", "http_status": 201,
        "sender": "NL*CPA", "receiver": "DE*MSA",
    }  # fmt: skip
    assert forward.parent is not None
    assert serve.context is not None
    assert forward.parent.span_id == serve.context.span_id
    deliver = spans["deliver", broadcast.correlation_id]
    assert attributes(deliver) == {
        "module": "tariffs", "sender": "NL*HUB", "receiver": "DE*MSA", "http_status": 201, "status_code": 1000,
    }  # fmt: skip
    trace_id = int.from_bytes(hashlib.sha256(broadcast.correlation_id.encode()).digest()[:16])
    for name in ("serve", "deliver"):
        context = spans[name, broadcast.correlation_id].context
        assert context is not None
        assert context.trace_id == trace_id
    told = str([span.to_json() for span in exporter.get_finished_spans()])
    assert cpo.registered.token_out not in told
    assert "price_components" not in told


async def test_what_fails_is_marked_by_its_type_alone() -> None:
    exporter = InMemorySpanExporter()
    async with tracing.running("", "test", exporter):
        with pytest.raises(ValueError, match="secret"), tracing.span("serve", "c-1"):
            raise ValueError("secret")
    (span,) = exporter.get_finished_spans()
    assert (span.status.is_ok, span.status.description, span.events) == (False, "ValueError", ())


async def test_a_collector_gets_them_over_http() -> None:
    received: list[ExportTraceServiceRequest] = []

    async def take(request: web.Request) -> web.Response:
        received.append(ExportTraceServiceRequest.FromString(await request.read()))
        return web.Response(content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    async with TestServer(app) as server, tracing.running(str(server.make_url("")).rstrip("/"), "api"):
        with tracing.span("serve", "c-1", module="locations", status=None):
            pass
    (resource,) = received[0].resource_spans
    assert [a.value.string_value for a in resource.resource.attributes if a.key == "service.name"] == ["knutpunkt-api"]
    (span,) = resource.scope_spans[0].spans
    assert (span.name, {a.key for a in span.attributes}) == ("serve", {"correlation_id", "module"})


def test_asked_for_and_not_installed_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    tracing.require("http://127.0.0.1:4318")
    monkeypatch.setattr(tracing, "_installed", lambda module: False)
    tracing.require("")
    with pytest.raises(OperatorError, match="uv sync --extra telemetry"):
        tracing.require("http://127.0.0.1:4318")


def test_a_module_that_is_not_there_is_not_installed() -> None:
    assert tracing._installed("opentelemetry.sdk")
    assert not tracing._installed("opentelemetry.none.at.all")
    assert not tracing._installed("no_such_package.part")
