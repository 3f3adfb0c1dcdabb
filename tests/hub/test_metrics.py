"""What a process counts: labels stay few whatever comes in, and figures survive the way through a heartbeat."""

from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hub import metrics
from hub.ocpi import json
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from modules.catalog import CATALOG


def test_an_endpoint_is_named_by_what_the_hub_knows() -> None:
    def named(path: str, method: str = "GET") -> tuple[str, str, str]:
        return metrics.endpoint(path, method, CATALOG)

    assert named("/ocpi/2.2.1/receiver/locations/NL/CPA/LOC1", "PUT") == ("receiver", "locations", "PUT")
    assert named("/ocpi/2.2.1/sender/tokens") == ("sender", "tokens", "GET")
    assert named("/ocpi/2.2.1/credentials", "POST") == ("other", "credentials", "POST")
    assert named("/ocpi/versions", "BREW") == ("other", "other", "other")
    assert named("/ocpi/2.2.1/receiver/made-up/1") == ("receiver", "other", "GET")


def test_figures_travel_through_a_heartbeat_and_keep_their_process() -> None:
    metrics.deliveries("refused").inc(3)
    metrics.DELIVERY_SECONDS.observe(0.02)
    figures = json.loads(json.dumps(metrics.figures(metrics.WORKER)))
    registry = CollectorRegistry()
    registry.register(_Told({"worker@a:1": figures, "worker@b:2": {"knutpunkt_unknown": [["x", {}, 1]]}}))
    shown = generate_latest(registry).decode()
    assert 'knutpunkt_deliveries_total{process="worker@a:1",verdict="refused"}' in shown
    assert 'knutpunkt_delivery_seconds_bucket{le="0.025",process="worker@a:1"}' in shown
    assert "# TYPE knutpunkt_delivery_seconds histogram" in shown
    assert "unknown" not in shown
    assert "_created" not in shown


class _Told(Collector):
    def __init__(self, by_process: dict[str, dict[str, list[list[object]]]]) -> None:
        self._by_process = by_process

    def collect(self) -> list[Metric]:
        return list(metrics.told(self._by_process))


async def test_what_partners_do_is_timed_and_counted_where_it_happens(running: Any) -> None:
    before = _shown()
    async with CpoBackend("NL*CPA") as cpo, Emsp("DE*MSA") as emsp:
        await running.join(cpo, "CPO")
        await running.join(emsp, "EMSP")
        await cpo.put_tariff(samples.tariff("NL*CPA", "T1"), to=cpo.hub)
        await cpo.put_tariff(samples.tariff("NL*CPA", "T2"), to="DE*MSA")
        await emsp.stop()
        await cpo.put_tariff(samples.tariff("NL*CPA", "T3"), to="DE*MSA")
    grown = {name: value - before.get(name, 0) for name, value in _shown().items()}
    labels = 'interface="receiver",method="PUT",module="tariffs"'
    assert grown[f"knutpunkt_request_seconds_count{{{labels}}}"] == 3
    assert grown['knutpunkt_accept_seconds_count{module="tariffs"}'] == 1
    assert grown['knutpunkt_forward_seconds_count{module="tariffs"}'] == 2
    assert grown['knutpunkt_forward_failures_total{reason="Unreachable",receiver="DE*MSA"}'] == 1


def _shown() -> dict[str, float]:
    lines = generate_latest(metrics.REGISTRY).decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}
