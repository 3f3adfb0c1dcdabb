"""What a session costs: pure arithmetic on an OCPI tariff and its charging periods."""

from hub.pricing.engine import Cost, Period, Price, Unpriced, amounts_to_ocpi, price

__all__ = ["Cost", "Period", "Price", "Unpriced", "amounts_to_ocpi", "price"]
