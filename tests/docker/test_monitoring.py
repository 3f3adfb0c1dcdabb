"""The dashboard and the rules speak of metrics that the hub has, so that neither can rot unseen."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml
from cryptography.fernet import Fernet

from hub import metrics
from hub.app import create_app
from hub.settings import CHECKOUT, Settings

DOCKER = CHECKOUT / "docker"
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
ASIDE = re.compile(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(?:by|without|on|ignoring)\s*\([^)]*\)')
"""Texts, labels, ranges, groupings."""
WORDS = re.compile(r"\b\w+(?=\s*\()|\b(?:and|or|unless|bool)\b")
"""Functions and operators."""
ITS_OWN = {"up"}
"""What Prometheus itself makes."""


def names(promql: str) -> set[str]:
    """The metrics in an expression."""
    return set(NAME.findall(WORDS.sub(" ", ASIDE.sub(" ", promql)))) - ITS_OWN


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DOCKER / "prometheus-alerts.yaml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    board = json.loads((DOCKER / "grafana-dashboard.json").read_text(encoding="utf-8"))
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    yield from (target["expr"] for panel in panels() for target in panel["targets"])


def test_names_are_found_in_promql() -> None:
    promql = (
        'histogram_quantile(0.9, sum by (le) (rate(a_bucket{b="c_d"}[5m]))) > 2 * max(e_total) or absent(up{j="k"})'
    )
    assert names(promql) == {"a_bucket", "e_total"}


async def test_every_metric_that_is_shown_or_alerted_on_is_exported(database_url: str, redis_url: str) -> None:
    settings = Settings(
        database_url=database_url, redis_url=redis_url, secret_key=Fernet.generate_key().decode(), api_token="operator"
    )
    app = create_app(settings)
    metrics.accepts("tariffs").observe(0)  # the buckets of a histogram with labels appear with its first use
    metrics.forwards("tariffs").observe(0)
    metrics.requests("receiver", "tariffs", "PUT").observe(0)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), trust_env=False, base_url="http://hub") as client,
    ):
        exposition = (await client.get("/metrics", headers={"Authorization": "Bearer operator"})).text
    declared = set(re.findall(r"^# TYPE (\S+)", exposition, re.MULTILINE))
    samples = {re.sub(r"_(bucket|count|sum)$", "", name) for promql in expressions() for name in names(promql)}
    assert samples - declared == set()
    assert len(samples) > 20


def test_every_rule_says_what_to_do() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert set(rule["annotations"]) == {"summary", "description"}


def test_panels_do_not_overlap_and_each_has_a_title() -> None:
    cells: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        taken = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert panel["title"]
        assert place["x"] + place["w"] <= 24
        assert not taken & cells
        cells |= taken


@pytest.mark.parametrize("field", ["authorization", "metrics_path"])
def test_prometheus_asks_with_the_operators_token(field: str) -> None:
    (job,) = yaml.safe_load((DOCKER / "prometheus.yaml").read_text(encoding="utf-8"))["scrape_configs"]
    wanted = {
        "authorization": {"type": "Bearer", "credentials_file": "/run/secrets/api_token"},
        "metrics_path": "/metrics",
    }
    assert job[field] == wanted[field]
