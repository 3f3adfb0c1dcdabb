"""Versions and endpoints. Source: version_information_endpoint.asciidoc."""

from hub.ocpi.enums import InterfaceRole, VersionNumber
from hub.ocpi.types import Schema, Some, String255, Url

ModuleID = String255
"""A module's name. Text, since platforms may agree on modules of their own (VER-022)."""


class Version(Schema):
    """A version that a platform speaks. Source: version_information_endpoint.asciidoc > Version class."""

    version: VersionNumber
    url: Url


class Endpoint(Schema):
    """Where one side of a module is. Source: version_information_endpoint.asciidoc > Endpoint class."""

    identifier: ModuleID
    role: InterfaceRole
    url: Url


class VersionDetails(Schema):
    """What a version's own address answers.

    Source: version_information_endpoint.asciidoc > Version details endpoint, Data (in the text, not a table).
    """

    version: VersionNumber
    endpoints: Some[Endpoint]
