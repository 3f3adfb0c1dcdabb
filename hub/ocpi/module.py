"""One row of the catalogue: all that a layer must know of an OCPI module to store, route and deliver its objects.

The rows themselves stand in `modules/catalog.py`; lower layers are handed them at start, so that
routing, storage, delivery and the versions answer never name a module themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from hub.ocpi.types import PartyId, Schema


@dataclass(frozen=True)
class Part:
    """A level below the object: `evses` of a Location found by `uid`, `connectors` of an EVSE found by `id`."""

    list_field: str
    id_field: str
    model: type[Schema]


@dataclass(frozen=True)
class Module:
    """A catalogue row.

    `owner` is the role whose data it is (CPO or EMSP). `parts` are the levels below the object, outermost first.
    `key_field` tells objects with one id apart (the type of a Token). `append` lists the fields that a PATCH adds
    to instead of replacing (catalogue SES-027). `token_field` holds the token whose owner is the receiver (CDR-055).
    `immutable` objects live in the ledger. The method sets are those of the spec's interface tables.
    """

    name: str
    owner: str
    model: type[Schema]
    sender_methods: frozenset[str]
    receiver_methods: frozenset[str]
    id_field: str = "id"
    key_field: str | None = None
    key_default: str = ""
    parts: tuple[Part, ...] = ()
    append: frozenset[str] = frozenset()
    token_field: str | None = None
    broadcast: bool = False
    immutable: bool = False
    command_models: Mapping[str, type[Schema]] = field(default_factory=dict)

    @property
    def kept(self) -> bool:
        """Whether the hub keeps these objects (CDRs are in the ledger instead)."""
        return bool(self.owner) and not self.immutable

    def key(self, object_id: str, kind: str | None = None) -> str:
        """The database key of an object: its id without regard to case (TYP-003), with the kind where ids repeat."""
        if self.key_field is None:
            return object_id.upper()
        return f"{(kind or self.key_default)}:{object_id.upper()}"

    def key_of(self, body: Mapping[str, Any]) -> str:
        """The database key of the object that `body` holds."""
        return self.key(str(body[self.id_field]), str(body[self.key_field]) if self.key_field else None)

    def identity(self, ref: "Ref") -> tuple[str, str, str]:
        """What a client owned URL names, as the database does: owner, module and key."""
        return str(ref.owner), self.name, self.key(ref.object_id, ref.kind)

    def path_of(self, body: Mapping[str, Any], part_ids: tuple[str, ...] = ()) -> str:
        """The client owned path (TF-056) of the object in `body`, without a leading slash, query included."""
        ids = (body["country_code"], body["party_id"], body[self.id_field], *part_ids)
        path = "/".join(quote(str(i), safe="") for i in ids)
        if self.key_field and body.get(self.key_field, self.key_default) != self.key_default:
            path += f"?{self.key_field}={quote(str(body[self.key_field]), safe='')}"
        return path

    def level_model(self, depth: int) -> type[Schema]:
        """The schema of the addressed level: 0 the object, 1 and 2 its parts."""
        return self.model if depth == 0 else self.parts[depth - 1].model


@dataclass(frozen=True)
class Ref:
    """What a client owned URL names: the owner, the object and, for Locations, the EVSE and the Connector."""

    owner: PartyId
    object_id: str
    part_ids: tuple[str, ...] = ()
    kind: str | None = None


Catalog = Mapping[str, Module]
