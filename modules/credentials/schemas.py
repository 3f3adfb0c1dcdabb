"""What platforms hand each other on registration. Source: credentials.asciidoc."""

from hub.ocpi.enums import Role
from hub.ocpi.types import CiString2, CiString3, Schema, Some, String64, Url
from modules.locations.schemas import BusinessDetails


class CredentialsRole(Schema):
    """One party on a platform. Source: credentials.asciidoc > CredentialsRole class."""

    role: Role
    business_details: BusinessDetails
    party_id: CiString3
    country_code: CiString2


class Credentials(Schema):
    """The token to use, the address to use it at, and who is there. Source: credentials.asciidoc."""

    token: String64
    url: Url
    roles: Some[CredentialsRole]
