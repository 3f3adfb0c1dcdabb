"""When the certificates end that the hub depends on: its own, as the world sees them, and the partners'.

They are looked at by connecting, trusted or not, since a proxy may serve the hub's own and nobody else knows of the
partners'. That takes time and hardly ever brings news, so it happens once an hour, beside the watch.
"""

import asyncio
from collections.abc import Iterable
from datetime import datetime

import structlog
from cryptography import x509
from yarl import URL

from hub.ocpi.client import NetworkError, Outbound
from hub.settings import Settings
from hub.store.directory import Directory

log = structlog.get_logger(__name__)

AT_ONCE = 10
Ends = dict[str, datetime | None]
"""When the certificate of each address ("hub.example:443") ends; None while that is not known."""


class Certificates:
    """What is known of certificates. `outbound` judges the addresses of partners; the hub's own are the operator's."""

    def __init__(self, settings: Settings, outbound: Outbound, unguarded: Outbound) -> None:
        self._own = addresses([settings.public_url, settings.bridge_url.replace("ws", "http", 1)])
        self._outbound, self._unguarded = outbound, unguarded
        self._known: dict[str, datetime] = {}

    def ends(self, directory: Directory) -> Ends:
        """When each certificate ends that matters at present."""
        return {address: self._known.get(address) for address in (self._own | _partners(directory))}

    async def look(self, directory: Directory) -> None:
        """Connect to all of them, a few at a time."""
        turn = asyncio.Semaphore(AT_ONCE)
        doors = dict.fromkeys(_partners(directory), self._outbound) | dict.fromkeys(self._own, self._unguarded)
        await asyncio.gather(*(self._look_at(address, door, turn) for address, door in doors.items()))

    async def _look_at(self, address: str, door: Outbound, turn: asyncio.Semaphore) -> None:
        async with turn:
            try:
                self._known[address] = end(await door.certificate(f"https://{address}/"))
            except (NetworkError, ValueError) as error:  # then the last answer stands; reachable or not is not asked
                log.info("certificate not seen", address=address, reason=str(error))


def addresses(urls: Iterable[str]) -> frozenset[str]:
    """Host and port of the URLs that are reached over TLS."""
    parsed = (URL(url) for url in urls)
    return frozenset(f"{url.host_subcomponent}:{url.port}" for url in parsed if url.scheme == "https")


def end(certificate: bytes) -> datetime:
    """When a certificate (DER) ends; ValueError when it is none."""
    return x509.load_der_x509_certificate(certificate).not_valid_after_utc


def _partners(directory: Directory) -> frozenset[str]:
    return addresses(
        platform.versions_url
        for platform in directory.platforms.values()
        if platform.versions_url is not None and platform.status in ("CONNECTED", "OFFLINE")
    )
