"""Where the specification says what a check holds a peer to, so that a report can name the place.

Headings of ocpi/ocpi, branch release-2.2.1-bugfixes, with the rows of the catalogue that come from them.
"""

HEADINGS = {
    "credentials.asciidoc > Credentials object": "CRED-037 CRED-038 CRED-039 CRED-044",
    "credentials.asciidoc > CredentialsRole class": "CRED-051",
    "credentials.asciidoc > DELETE Method": "CRED-033 CRED-034",
    "credentials.asciidoc > GET Method": "CRED-024",
    "credentials.asciidoc > Interfaces and endpoints": "CRED-013 CRED-023",
    "credentials.asciidoc > POST Method": "CRED-026",
    "credentials.asciidoc > PUT Method": "CRED-029 CRED-030 CRED-031 CRED-053",
    "credentials.asciidoc > Registration": "CRED-006 CRED-008 CRED-010",
    "mod_cdrs.asciidoc > CDR Object": "CDR-025 CDR-026 CDR-033 CDR-039",
    "mod_cdrs.asciidoc > CdrDimensionType enum": "CDR-047",
    "mod_cdrs.asciidoc > POST Method": "CDR-019 CDR-020 CDR-023 CDR-024",
    "mod_cdrs.asciidoc > Receiver Interface": "CDR-017",
    "mod_cdrs.asciidoc > Receiver Interface: GET Method": "CDR-018",
    "mod_charging_profiles.asciidoc > Flow": "CHP-005",
    "mod_charging_profiles.asciidoc > Receiver Interface: GET Method": "CHP-008",
    "mod_charging_profiles.asciidoc > Sender Interface: PUT Method": "CHP-042",
    "mod_commands.asciidoc > Flow": "CMD-002",
    "mod_commands.asciidoc > Receiver Interface": "CMD-007 CMD-009",
    "mod_commands.asciidoc > Sender Interface": "CMD-014",
    "mod_commands.asciidoc > StopSession Object": "CMD-044 CMD-045 CMD-047",
    "mod_hub_client_info.asciidoc > ClientInfo Object": "HCI-022",
    "mod_hub_client_info.asciidoc > ConnectionStatus enum": "HCI-025",
    "mod_hub_client_info.asciidoc > Push model": "HCI-009",
    "mod_hub_client_info.asciidoc > Receiver Interface": "HCI-018",
    "mod_locations.asciidoc > GeoLocation class": "LOC-069",
    "mod_locations.asciidoc > Hours class": "LOC-072",
    "mod_locations.asciidoc > Location Object": "LOC-034 LOC-037 LOC-039 LOC-041",
    "mod_locations.asciidoc > PATCH Method": "LOC-028 LOC-033",
    "mod_locations.asciidoc > Receiver Interface": "LOC-019",
    "mod_locations.asciidoc > Sender Interface: GET List": "LOC-013",
    "mod_locations.asciidoc > Sender Interface: GET Object": "LOC-016",
    "mod_sessions.asciidoc > Receiver Interface": "SES-021",
    "mod_sessions.asciidoc > Receiver Interface: PATCH Method": "SES-025 SES-027",
    "mod_sessions.asciidoc > Sender Interface: GET Method": "SES-013",
    "mod_sessions.asciidoc > Sender Interface: PUT Method": "SES-020",
    "mod_sessions.asciidoc > Session Object": "SES-032",
    "mod_sessions.asciidoc > SessionStatus enum": "SES-044",
    "mod_tariffs.asciidoc > DELETE Method": "TAR-009 TAR-010",
    "mod_tariffs.asciidoc > Receiver Interface": "TAR-005 TAR-006",
    "mod_tariffs.asciidoc > Tariff Object": "TAR-011",
    "mod_tariffs.asciidoc > TariffDimensionType enum": "TAR-027",
    "mod_tariffs.asciidoc > TariffRestrictions class": "TAR-035 TAR-042",
    "mod_tokens.asciidoc > Receiver Interface": "TOK-010 TOK-012",
    "mod_tokens.asciidoc > Receiver Interface: PATCH Method": "TOK-016",
    "mod_tokens.asciidoc > Sender Interface: POST Method": "TOK-022 TOK-024 TOK-026",
    "mod_tokens.asciidoc > Token Object": "TOK-031 TOK-032 TOK-033",
    "status_codes.asciidoc > 2xxx: Client errors": "CMD-043",
    "status_codes.asciidoc > 4xxx: Hub errors": "TF-167 TF-169",
    "status_codes.asciidoc > Status codes": "TF-144 TF-145 TF-146 TF-147 TF-148 TF-149 TF-150",
    "transport_and_format.asciidoc > Authorization header": "TF-004 TF-005 TF-009 TF-010 TF-012 TF-013 TF-182",
    "transport_and_format.asciidoc > Broadcast Push": "TF-098 TF-101 TF-102 TF-107 TF-110 TF-111 TF-112",
    "transport_and_format.asciidoc > Client Owned Object Push": "TF-059",
    "transport_and_format.asciidoc > Errors": "TF-062 TF-063 TF-064",
    "transport_and_format.asciidoc > GET All via Hubs": "TF-120 TF-121 TF-122",
    "transport_and_format.asciidoc > Interface endpoints": "TF-139",
    "transport_and_format.asciidoc > Message Routing Headers": "TF-075 TF-076 TF-078 TF-079 TF-082",
    "transport_and_format.asciidoc > Open Routing Request": "TF-115 TF-118 TF-175",
    "transport_and_format.asciidoc > Overview of required/optional routing headers for different scenarios": "TF-084",
    "transport_and_format.asciidoc > PATCH": "TF-051 TF-054",
    "transport_and_format.asciidoc > PUT": "TF-048 TF-050",
    "transport_and_format.asciidoc > Paginated Request": "TF-023 TF-024 TF-025 TF-027 TF-029 TF-030",
    "transport_and_format.asciidoc > Paginated Response": "TF-031 TF-032 TF-033 TF-034 TF-035 TF-036",
    "transport_and_format.asciidoc > Pagination Examples": "TF-041 TF-042 TF-043 TF-044",
    "transport_and_format.asciidoc > Party to Party via Hub": (
        "CMD-017 CMD-018 CMD-022 TF-086 TF-087 TF-090 TF-091 TF-094 TF-095 TF-096"
    ),
    "transport_and_format.asciidoc > Pull and Push": "TF-014",
    "transport_and_format.asciidoc > Request format": "TF-017 TF-181",
    "transport_and_format.asciidoc > Response format": "TF-068 TF-069 TF-070 TF-071 TF-074 TF-170",
    "transport_and_format.asciidoc > Security and authentication": "TF-001",
    "transport_and_format.asciidoc > Timestamps and Objects send via Hubs": "TF-127",
    "transport_and_format.asciidoc > Unique message IDs": "TF-130 TF-131 TF-132 TF-133 TF-134 TF-136",
    "types.asciidoc > DateTime type": "TYP-006",
    "version_information_endpoint.asciidoc > Custom Modules": "VER-023",
    "version_information_endpoint.asciidoc > Endpoint class": "VER-015",
    "version_information_endpoint.asciidoc > ModuleID enum": "VER-019",
    "version_information_endpoint.asciidoc > Version details endpoint": "VER-007 VER-008 VER-009 VER-010 VER-011",
    "version_information_endpoint.asciidoc > Version information endpoint": "VER-001 VER-002 VER-003 VER-005",
}

_DERIVED = (
    "CDR-023 CDR-024 CHP-042 CMD-009 CMD-017 CMD-018 CMD-022 CMD-047 CRED-053 HCI-009 HCI-018 LOC-033 "
    "SES-013 TAR-006 TAR-009 TAR-010 TF-013 TF-030 TF-032 TF-042 TF-043 TF-044 TF-048 TF-054 TF-059 "
    "TF-062 TF-064 TF-074 TF-082 TF-095 TF-096 TF-110 TF-111 TF-112 TF-118 TF-120 TF-127 TF-136 TF-167 "
    "TF-169 TF-175 TF-181 TF-182 TOK-026 VER-005 VER-010 "
)
DERIVED = frozenset(_DERIVED.split())
"""Rows that follow from what the specification says there, and are not written in it."""

_PLACES = {name: heading for heading, names in HEADINGS.items() for name in names.split()}


def place(catalogue_id: str) -> str:
    """The file and the heading that a row of the catalogue comes from, empty when the kit has no check of it."""
    found = _PLACES.get(catalogue_id, "")
    return f"{found} (derived)" if catalogue_id in DERIVED else found
