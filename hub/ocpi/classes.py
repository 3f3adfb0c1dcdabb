"""The data classes that all modules share. Source: types.asciidoc."""

from hub.ocpi.types import Number, Schema, String2, String512


class DisplayText(Schema):
    """Plain text for people, in one language. Source: types.asciidoc > DisplayText class."""

    language: String2
    text: String512


class Price(Schema):
    """An amount without VAT and, where known, with it. Source: types.asciidoc > Price class."""

    excl_vat: Number
    incl_vat: Number | None = None
