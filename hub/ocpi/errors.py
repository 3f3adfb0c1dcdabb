"""One exception per way in which OCPI says no.

Raise the class that says what is wrong; the API renders it into the response envelope with the two numbers
that sit on the class. The message is for a person at the other end: it names what is wrong and what to do,
and never repeats what was sent.

Source: status_codes.asciidoc; transport_and_format.asciidoc > Response format.
"""


class OcpiError(Exception):
    """Base of all refusals. `message` becomes status_message; without one, the class's own text is used."""

    status_code = 3000
    http_status = 200
    text = "The request could not be handled."

    def __init__(self, message: str = "") -> None:
        self.message = message or self.text
        super().__init__(self.message)


class ClientError(OcpiError):
    """2000: the request is at fault, and no narrower code fits."""

    status_code = 2000
    text = "The request cannot be accepted."


class InvalidParameters(ClientError):
    """2001: a parameter, a header or a field of the body is missing or wrong."""

    status_code = 2001
    text = "A parameter is missing or invalid."


class NotEnoughInformation(ClientError):
    """2002: the answer depends on something the request does not say."""

    status_code = 2002
    text = "The request does not hold enough information."


class UnknownLocation(ClientError):
    """2003: the Location, EVSE or Connector is not known here."""

    status_code = 2003
    text = "The Location is not known here."


class UnknownToken(ClientError):
    """2004: the Token is not known here. HTTP 404 goes with it (TOK-022)."""

    status_code = 2004
    http_status = 404
    text = "The Token is not known here."


class ServerError(OcpiError):
    """3000: the fault is here, and no narrower code fits."""

    status_code = 3000
    text = "The hub could not handle the request."


class UnableToUseClientApi(ServerError):
    """3001: the peer's own API did not answer as needed while we used it (registration, for one)."""

    status_code = 3001
    text = "The API of the client could not be used."


class UnsupportedVersion(ServerError):
    """3002: no OCPI version in common."""

    status_code = 3002
    text = "No OCPI version in common."


class NoMatchingEndpoints(ServerError):
    """3003: an endpoint that is needed is missing on one side."""

    status_code = 3003
    text = "A needed endpoint is missing."


class HubError(OcpiError):
    """4000: the hub could not pass the message on, and no narrower code fits."""

    status_code = 4000
    text = "The hub could not pass the message on."


class UnknownReceiver(HubError):
    """4001: the TO party is not known, or may not be reached."""

    status_code = 4001
    text = "The receiving party is not known to this hub."


class RequestTimeout(HubError):
    """4002: the receiver got the forwarded request and did not answer in time."""

    status_code = 4002
    text = "The receiving party did not answer in time."


class ConnectionProblem(HubError):
    """4003: the receiver is not connected."""

    status_code = 4003
    text = "The receiving party is not connected."


class Unauthorized(ClientError):
    """HTTP 401: no credentials token, or one that nobody holds."""

    http_status = 401
    text = "The credentials token is missing or not valid."


class Conflict(ClientError):
    """HTTP 409: the request contradicts what the hub has. For operators; OCPI has no such answer."""

    http_status = 409
    text = "The request contradicts what the hub has."


class Suspended(ClientError):
    """HTTP 403: the token is good, but the operator of the hub has suspended the connection."""

    http_status = 403
    text = "The operator of this hub has suspended the connection: nothing passes until it is resumed; ask there."


class InvalidJson(InvalidParameters):
    """HTTP 400: the body is not JSON that the hub can take."""

    http_status = 400
    text = "The body is not valid JSON."


class NotFound(UnknownLocation):
    """HTTP 404: nothing lives at this address."""

    http_status = 404
    text = "There is no such object."


class MethodNotAllowed(ClientError):
    """HTTP 405: the address exists, the method does not."""

    http_status = 405
    text = "The method is not allowed here."


class TooLarge(InvalidParameters):
    """HTTP 413: the body is larger than the hub takes."""

    http_status = 413
    text = "The body is too large."


class Busy(ServerError):
    """HTTP 503: the hub has as much in hand as it can do well."""

    http_status = 503
    text = "The hub has too much in hand at present: send this again in a moment."


class OverShare(ServerError):
    """HTTP 429: the hub has its hands full, and this platform has more than its share of that."""

    http_status = 429
    text = "This platform has more requests in progress than its share: send this again in a moment, and fewer at once."
