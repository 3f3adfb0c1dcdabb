"""The hub operator of the story: the operator API of a hub, over HTTP."""

import time
from typing import Any, Self

import httpx

from hub.ocpi import errors, json
from hub.sandbox.narrator import Narrator, Unexpected


class Operator:
    """Calls /api/v1 with the operator's bearer token, and tells the narrator."""

    def __init__(self, url: str, api_token: str, narrator: Narrator) -> None:
        headers = {"Authorization": f"Bearer {api_token}", "Content-Type": "application/json"}
        self._http = httpx.AsyncClient(base_url=f"{url}/api/v1", headers=headers, timeout=15, trust_env=False)
        self._narrator = narrator

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def ask(self, method: str, path: str, body: Any = None, what: str = "") -> Any:
        """One call; the answer's JSON. `what` is its line in the story. Unexpected when it is refused."""
        began = time.perf_counter()
        answer = await self._http.request(method, path, content=json.dumps(body) if body is not None else None)
        ms = (time.perf_counter() - began) * 1000
        if answer.is_error:
            raise Unexpected(
                f"the operator API answered {method} {path} with {answer.status_code}: {answer.text[:300]}"
            )
        try:
            found = json.loads(answer.content)
        except errors.InvalidJson:
            raise Unexpected(f"the operator API answered {method} {path} with something that is not JSON") from None
        if what:
            correlation_id = found.get("correlation_id", "") if isinstance(found, dict) else ""
            self._narrator.line("operator", "hub", what, str(answer.status_code), ms, correlation_id)
        return found
