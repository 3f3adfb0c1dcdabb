"""A running hub and its simulated partners, as the tests of the exchange have them."""

from tests.hub.conftest import running, settings
from tests.hub.exchange.conftest import cpo, delivering, emsp, other_emsp

__all__ = ["cpo", "delivering", "emsp", "other_emsp", "running", "settings"]
