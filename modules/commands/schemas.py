"""Commands, the CPO's first answer, and the result that follows. Source: mod_commands.asciidoc."""

from hub.ocpi.classes import DisplayText
from hub.ocpi.enums import CommandResponseType, CommandResultType
from hub.ocpi.types import CiString36, DateTime, Int, Many, Schema, Url
from modules.tokens.schemas import Token


class CancelReservation(Schema):
    """Give a reservation back. Source: mod_commands.asciidoc > CancelReservation Object."""

    response_url: Url
    reservation_id: CiString36


class ReserveNow(Schema):
    """Keep an EVSE free for a driver. Source: mod_commands.asciidoc > ReserveNow Object."""

    response_url: Url
    token: Token
    expiry_date: DateTime
    reservation_id: CiString36
    location_id: CiString36
    evse_uid: CiString36 | None = None
    authorization_reference: CiString36 | None = None


class StartSession(Schema):
    """Start charging. Source: mod_commands.asciidoc > StartSession Object."""

    response_url: Url
    token: Token
    location_id: CiString36
    evse_uid: CiString36 | None = None
    connector_id: CiString36 | None = None
    authorization_reference: CiString36 | None = None


class StopSession(Schema):
    """Stop charging. Source: mod_commands.asciidoc > StopSession Object."""

    response_url: Url
    session_id: CiString36


class UnlockConnector(Schema):
    """Let go of a cable that is stuck. Source: mod_commands.asciidoc > UnlockConnector Object."""

    response_url: Url
    location_id: CiString36
    evse_uid: CiString36
    connector_id: CiString36


class CommandResponse(Schema):
    """Whether the CPO passes the command on. Source: mod_commands.asciidoc > CommandResponse Object."""

    result: CommandResponseType
    timeout: Int
    message: Many[DisplayText] = None


class CommandResult(Schema):
    """What became of the command. Source: mod_commands.asciidoc > CommandResult Object."""

    result: CommandResultType
    message: Many[DisplayText] = None
