"""Tokens, and what an eMSP answers about them. Source: mod_tokens.asciidoc."""

from hub.ocpi.classes import DisplayText
from hub.ocpi.enums import AllowedType, ProfileType, TokenType, WhitelistType
from hub.ocpi.types import (
    Boolean,
    CiString2,
    CiString3,
    CiString36,
    DateTime,
    Id36,
    Many,
    Schema,
    String2,
    String64,
)


class EnergyContract(Schema):
    """The driver's own contract for energy. Source: mod_tokens.asciidoc > EnergyContract class."""

    supplier_name: String64
    contract_id: String64 | None = None


class LocationReferences(Schema):
    """The Location and EVSEs that are meant. Source: mod_tokens.asciidoc > LocationReferences class."""

    location_id: CiString36
    evse_uids: Many[CiString36] = None


class Token(Schema):
    """What a driver identifies with. Source: mod_tokens.asciidoc > Token Object."""

    country_code: CiString2
    party_id: CiString3
    uid: Id36
    type: TokenType
    contract_id: CiString36
    visual_number: String64 | None = None
    issuer: String64
    group_id: CiString36 | None = None
    valid: Boolean
    whitelist: WhitelistType
    language: String2 | None = None
    default_profile_type: ProfileType | None = None
    energy_contract: EnergyContract | None = None
    last_updated: DateTime


class AuthorizationInfo(Schema):
    """The eMSP's word on a Token. Source: mod_tokens.asciidoc > AuthorizationInfo Object."""

    allowed: AllowedType
    token: Token
    location: LocationReferences | None = None
    authorization_reference: CiString36 | None = None
    info: DisplayText | None = None
