"""The envelope every OCPI answer comes in (transport_and_format.asciidoc > Response format)."""

from datetime import UTC, datetime
from typing import Any

from hub.ocpi import json
from hub.ocpi.errors import OcpiError
from hub.ocpi.types import format_datetime

SUCCESS = 1000


def wrap(data: bytes | None, status_code: int = SUCCESS, status_message: str | None = None) -> bytes:
    """An envelope around JSON text that is already there, so that kept objects go out byte for byte."""
    parts = [b'{"status_code":%d' % status_code]
    if status_message:
        parts.append(b',"status_message":' + json.dumps(status_message))
    if data is not None:
        parts.append(b',"data":' + data)
    now = format_datetime(datetime.now(UTC))
    parts.append(b',"timestamp":"%s"}' % now.encode())
    return b"".join(parts)


def envelope(data: Any = None, status_code: int = SUCCESS, status_message: str | None = None) -> bytes:
    """An envelope around a value; no data field when `data` is None (TF-072)."""
    return wrap(None if data is None else json.dumps(data), status_code, status_message)


def refusal(error: OcpiError) -> bytes:
    """The envelope that tells an error."""
    return wrap(None, error.status_code, str(error))


def read(body: bytes) -> tuple[int | None, Any]:
    """The status code and data of a peer's answer; (None, None) when it is no envelope (TF-152)."""
    try:
        value = json.loads(body)
    except OcpiError:
        return None, None
    if not isinstance(value, dict) or not isinstance(value.get("status_code"), int):
        return None, None
    return value["status_code"], value.get("data")
