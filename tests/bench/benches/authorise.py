"""authorise: real-time authorisation of a card through the hub, against the eMSP asked directly."""

import dataclasses

from tests.bench import calls, partners
from tests.bench.figures import Line
from tests.bench.load.wrk import Shot
from tests.bench.partners import Partner
from tests.bench.rig import Rig

FLOOR = "the eMSP asked directly: a FastAPI route that allows every card"
PATH = "/tokens/04A1B2C3D4E580/authorize"


async def bench(rig: Rig) -> list[Line]:
    """One line; the eMSP is the same for both."""
    async with rig.web("emsp") as floor_url, rig.hub("api") as hub:
        emsp = Partner("DE*000", "EMSP", {("tokens", "SENDER"): f"{floor_url}/tokens"})
        token, _ = await partners.connect(hub.settings, [calls.CPO, emsp])
        headers = calls.shown(token, calls.CPO.code, emsp.code)
        ours = Shot(f"{calls.base(hub)}/sender{PATH}", "POST", headers, b"{}", mark='"allowed":"ALLOWED"')
        floor = dataclasses.replace(ours, url=floor_url + PATH)
        return [await rig.duel("authorise", ours, floor, name=FLOOR, pid=hub.pids["api"], added=True)]
