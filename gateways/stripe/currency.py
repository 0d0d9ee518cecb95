"""How Stripe counts money: like ISO 4217 in most currencies, with the exceptions of its own document.

https://docs.stripe.com/currencies: zero-decimal and three-decimal currencies, and the special cases.
"""

_HUNDREDFOLD = frozenset({"ISK", "UGX"})
"""Have no minor unit, but Stripe still counts them in hundredths that must be 00."""
_HUNDREDTH = frozenset({"MGA"})
"""Stripe counts whole units where ISO 4217 has two places."""
_THREE_PLACES = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
"""The last digit must be 0."""


class Inexpressible(Exception):
    """Stripe cannot state this amount."""


def to_stripe(amount: int, currency: str) -> int:
    """Our minor units as Stripe's integer. Raises `Inexpressible`."""
    if currency in _HUNDREDFOLD:
        return amount * 100
    if currency in _HUNDREDTH:
        return _whole(amount, 100, currency)
    if currency in _THREE_PLACES:
        return _whole(amount, 10, currency) * 10
    return amount


def from_stripe(stated: int, currency: str) -> int:
    """Stripe's integer as our minor units. Raises `Inexpressible`."""
    if currency in _HUNDREDFOLD:
        return _whole(stated, 100, currency)
    return stated * 100 if currency in _HUNDREDTH else stated


def _whole(amount: int, step: int, currency: str) -> int:
    count, rest = divmod(amount, step)
    if rest:
        raise Inexpressible(f"{amount} {currency}")
    return count
