"""What is pulled from a platform and how it departs from OCPI, as commands take and show it."""

from collections.abc import Sequence
from typing import Any

import typer

from hub.cli import tables
from hub.ocpi import quirks


def meanings() -> str:
    """Every quirk with its meaning, for a help text."""
    return " ".join(f"{name}: {meaning}." for name, meaning in quirks.explained().items())


def pull_order(text: str | None) -> str | list[str] | None:
    """What --pull says, as the API takes it."""
    if text is None or text == "auto":
        return text
    return [] if text == "off" else text.split(",")


def quirk_order(texts: Sequence[str] | None) -> dict[str, str] | None:
    """What --quirk says, as the API takes it."""
    if not texts:
        return None
    pairs = [text.partition("=") for text in texts]
    if not all(sign for _, sign, _ in pairs):
        raise typer.BadParameter("is written NAME=VALUE, like links=query", param_hint="--quirk")
    return {name: value for name, _, value in pairs}


def shown(platform: dict[str, Any]) -> dict[str, str]:
    """What is pulled from a platform, and its quirks, in words."""
    pull = "auto" if platform["pull"] is None else ", ".join(platform["pull"]) or "off"
    return {"pull": pull, "quirks": listed(platform["quirks"])}


def listed(values: dict[str, Any]) -> str:
    """Quirks on one line."""
    return " ".join(f"{name}={tables.plain(value)}" for name, value in values.items()) or "none"
