"""The floor of the bridge: the `ocpp` package's own server, as its documentation shows it, which stores nothing.

python -m tests.bench.floors.central_system PORT
"""

import asyncio
import itertools
import sys
from typing import Any

import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call_result
from ocpp.v16.enums import Action, AuthorizationStatus
from websockets.asyncio.server import ServerConnection
from websockets.typing import Subprotocol

_numbers = itertools.count(1)


class Station(ChargePoint):  # type: ignore[misc]  # the package has no types
    """Answers what the load generator sends."""

    @on(Action.start_transaction)  # type: ignore[untyped-decorator]
    def on_start(self, **_: Any) -> Any:
        """A transaction begins."""
        return call_result.StartTransaction(next(_numbers), {"status": AuthorizationStatus.accepted})

    @on(Action.meter_values)  # type: ignore[untyped-decorator]
    def on_meter_values(self, **_: Any) -> Any:
        """Nothing is done with them."""
        return call_result.MeterValues()


async def _connected(connection: ServerConnection) -> None:
    assert connection.request is not None
    await Station(connection.request.path.rpartition("/")[2], connection).start()


async def serve(port: int) -> None:
    """Listen until the process is ended."""
    async with websockets.serve(_connected, "127.0.0.1", port, subprotocols=[Subprotocol("ocpp1.6")]):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
