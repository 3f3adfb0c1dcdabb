"""The sample objects are valid to the last field, and fit together."""

from decimal import Decimal

import pytest

from hub.ocpi.types import Schema, check
from hub.sandbox import samples
from hub.sandbox.wire import Json
from modules.cdrs.schemas import CDR
from modules.locations.schemas import Location
from modules.sessions.schemas import Session
from modules.tariffs.schemas import Tariff
from modules.tokens.schemas import Token

SESSION = {**samples.session(), "kwh": Decimal("7.3")}


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (Location, samples.location()),
        (Tariff, samples.tariff()),
        (Token, samples.token()),
        (Token, samples.token(uid="A")),
        (Session, samples.session()),
        (CDR, samples.cdr(SESSION, samples.location(), samples.tariff())),
    ],
)
def test_samples_are_clean(model: type[Schema], body: Json) -> None:
    assert check(model, body) == []


def test_the_price_is_energy_and_flat_with_vat() -> None:
    # 7.3 x 0.35 + 0.50 = 3.055; with 21 % VAT 3.69655, of which four decimals stay
    assert samples.price(samples.tariff(), Decimal("7.3")) == {
        "excl_vat": Decimal("3.055"),
        "incl_vat": Decimal("3.6966"),
    }
