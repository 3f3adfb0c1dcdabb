"""The settings in force, and variables that were meant to be settings."""

from dataclasses import dataclass

from fastapi import Response

from hub import provenance
from hub.admin import access
from hub.exchange.context import Hub
from hub.provenance import Setting, Unknown
from modules.calls import CurrentHub

router = access.router("status")


@dataclass(frozen=True)
class Configuration:
    """Every setting of this process. Secrets are masked; `unknown` are variables that look like slips of the pen."""

    settings: list[Setting]
    unknown: list[Unknown]


def look(hub: Hub) -> Configuration:
    """What is in force in this process."""
    return Configuration(provenance.every(hub.settings), provenance.unknown())


@router.get("/config", response_model=Configuration)
async def get(hub: CurrentHub) -> Response:
    """The settings in force and where each comes from; secrets are masked."""
    return access.respond(look(hub))
