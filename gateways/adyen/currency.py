"""Adyen's ``value``: whole minor units by Adyen's own numbers of decimals, four of which differ from ISO 4217."""

from domain.money import EXPONENTS

_OWN_DECIMALS = {"CLP": 2, "CVE": 0, "IDR": 0, "ISK": 2}
"""Adyen's "Currency codes and minor units": the codes marked as differing from the standard."""


class Inexact(Exception):
    """An amount that the other side's minor units cannot express."""


def to_value(amount: int, currency: str) -> int:
    """Our minor units as Adyen's. Raises `Inexact`, for example for 0.50 CVE."""
    return _shift(amount, _difference(currency))


def from_value(value: int, currency: str) -> int:
    """Adyen's minor units as ours. Raises `Inexact`, for example for 10.50 ISK."""
    return _shift(value, -_difference(currency))


def _difference(currency: str) -> int:
    """How many decimals Adyen has more than we; a currency that we do not know is taken as it is."""
    ours = EXPONENTS.get(currency, 2)
    return _OWN_DECIMALS.get(currency, ours) - ours


def _shift(amount: int, places: int) -> int:
    if places >= 0:
        return amount * int(10**places)
    whole, rest = divmod(amount, int(10**-places))
    if rest:
        raise Inexact(f"{amount} is no whole number of the other side's units")
    return whole
