"""What a hub tells of a party. Source: mod_hub_client_info.asciidoc > Object description."""

from hub.ocpi.enums import ConnectionStatus, Role
from hub.ocpi.types import CiString2, CiString3, DateTime, Schema


class ClientInfo(Schema):
    """A party in a role, and how it is connected. Source: mod_hub_client_info.asciidoc > ClientInfo Object."""

    party_id: CiString3
    country_code: CiString2
    role: Role
    status: ConnectionStatus
    last_updated: DateTime
