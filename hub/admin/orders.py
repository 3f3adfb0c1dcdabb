"""What the operator's orders are made of: the base of their bodies, and the kinds of text in them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, WithJsonSchema

from hub.ocpi.errors import InvalidParameters
from hub.ocpi.types import PartyId


class Order(BaseModel):
    """A body of the operator API. A field that is not known is refused: it would be a mistake that nobody sees."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _party(value: object) -> PartyId:
    try:
        if isinstance(value, str):
            return PartyId.parse(value)
    except InvalidParameters:
        pass
    raise ValueError("must be a party like NL*CPA")


Code = Annotated[
    PartyId,
    PlainValidator(_party),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["NL*CPA"]}),
]
"""A party, written NL*CPA."""

Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
"""A name for people."""
