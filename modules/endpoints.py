"""From a request that the gate let in to the endpoint it is for, and back.

The routes are FastAPI's, and the OpenAPI document is made from them. What serves them is this: FastAPI tries one
regular expression after the other, solves and validates the parameters of each call anew, and sends the answer through
two more stacks of middleware, which together cost more than all that the hub itself does for most calls.

What an endpoint asks for is found out once, at the start: by `Depends` (a coroutine, which may ask in the same way), as
the Request itself, as an id of the path, or else as a parameter of the query. Ids and parameters are text.
"""

import inspect
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request, Response
from fastapi.params import Depends
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from hub.exchange import forward
from hub.exchange.call import Call
from hub.exchange.context import Hub
from hub.ocpi import envelope, headers
from hub.ocpi.errors import MethodNotAllowed, NotFound, OcpiError
from modules.calls import respond

Source = Callable[[Request], Awaitable[Any]]
"""Where a value comes from."""

ID = ""
"""The branch of an id; no part of a path that can be called is empty."""


@dataclass
class _Branch:
    """What lies below a part of a path, and what is offered right here: by method, with the names of the path's ids."""

    below: dict[str, "_Branch"] = field(default_factory=dict)
    offered: dict[str, tuple[Source, tuple[str, ...]]] = field(default_factory=dict)


_NOTHING = _Branch()


class Endpoints:
    """An ASGI application of these routes. It is at the first part of each path: "/ocpi"."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._root = _Branch()
        for route in routes:
            assert isinstance(route, APIRoute)
            branch = self._root
            for part in route.path.split("/")[1:]:
                branch = branch.below.setdefault(ID if part.startswith("{") else part, _Branch())
            ids = tuple(part.strip("{}") for part in route.path.split("/") if part.startswith("{"))
            branch.offered |= dict.fromkeys(route.methods or (), (_filled(route.endpoint, ids), ids))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, be it with a refusal."""
        request = Request(scope)
        try:
            endpoint, scope["path_params"] = self.find(scope["method"], scope["path"])
            response: Response = await endpoint(request)
        except OcpiError as error:
            response = _refusal(request, error)
        await response(scope, receive, send)

    def find(self, method: str, path: str) -> tuple[Source, dict[str, str]]:
        """The endpoint that a path leads to, and the ids on the way; raises NotFound, MethodNotAllowed."""
        branch, ids = self._root, []
        for part in path.split("/")[2:]:
            if part not in branch.below:
                ids.append(part)
            branch = (branch.below.get(part) or branch.below.get(ID, _NOTHING)) if part else _NOTHING
        if not branch.offered:
            raise NotFound("there is nothing at this URL: take URLs from the version details")
        if method not in branch.offered:
            raise MethodNotAllowed(f"{method} is not offered here")
        endpoint, names = branch.offered[method]
        return endpoint, dict(zip(names, ids, strict=True))


def _filled(function: Callable[..., Awaitable[Any]], ids: Collection[str]) -> Source:
    """A function whose parameters come from the request."""
    parameters = inspect.signature(function).parameters.values()
    sources = [(parameter.name, _source(parameter, ids)) for parameter in parameters]

    async def filled(request: Request) -> Any:
        return await function(**{name: await source(request) for name, source in sources})

    return filled


def _source(parameter: inspect.Parameter, ids: Collection[str]) -> Source:
    name, default = parameter.name, parameter.default
    for note in getattr(parameter.annotation, "__metadata__", ()):
        if isinstance(note, Depends) and note.dependency is not None:
            return _filled(note.dependency, ids)

    async def the_request(request: Request) -> Request:
        return request

    async def of_the_path(request: Request) -> Any:
        return request.path_params[name]

    async def of_the_query(request: Request) -> Any:
        return dict(parse_qsl(request.state.query, keep_blank_values=True)).get(name, default)

    return the_request if parameter.annotation is Request else of_the_path if name in ids else of_the_query


def _refusal(request: Request, error: OcpiError) -> Response:
    """FROM is the hub, TO the caller as far as it is known."""
    hub: Hub = request.app.state.hub
    call: Call | None = getattr(request.state, "call", None)
    if call is not None:
        reply = forward.refused(call, hub.code, error)
        return respond(hub.answered(call, "refuse", reply, status_code=error.status_code, detail=str(error)))
    sender = getattr(request.state, "sender", None)
    routing = headers.routing(sender, hub.code) if sender is not None else {}
    return Response(envelope.refusal(error), error.http_status, routing, media_type="application/json")
