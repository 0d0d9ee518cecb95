"""Money: whole minor units with their currency. No float exists here, so nothing is ever rounded by accident."""

from dataclasses import dataclass

from domain.errors import Invalid

_MINOR_UNITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC "
        "CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR "
        "JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD "
        "NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN "
        "SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
}
EXPONENTS: dict[str, int] = {code: exponent for exponent, codes in _MINOR_UNITS.items() for code in codes.split()}
"""Currency code to its number of decimal places: the national currencies of ISO 4217 list one.

As of 2026-01-01: with XCG (for ANG), ZWG (for ZWL) and SLE (for SLL), without BGN and HRK (now EUR). Fund codes
(CLF, UYI, ...), metals and test codes are no money that a customer pays with.
"""


def exponent_of(currency: str) -> int:
    """Decimal places of a currency (KRW 0, USD 2, BHD 3). Raises `Invalid` for a code that is not in the table."""
    if currency not in EXPONENTS:
        raise Invalid(f"{currency!r} is not an active ISO 4217 currency", figures={"currency": currency})
    return EXPONENTS[currency]


@dataclass(frozen=True, slots=True)
class Money:
    """``amount`` minor units of ``currency``; may be negative (a credit). Raises `Invalid` for anything inexact."""

    amount: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.amount) is not int:
            raise Invalid(f"an amount is a whole number of minor units, not {self.amount!r}")
        exponent_of(self.currency)

    def __add__(self, other: "Money") -> "Money":
        return Money(self.amount + self._same(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.amount - self._same(other), self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.amount < self._same(other)

    def __le__(self, other: "Money") -> bool:
        return self.amount <= self._same(other)

    def __gt__(self, other: "Money") -> bool:
        return self.amount > self._same(other)

    def __ge__(self, other: "Money") -> bool:
        return self.amount >= self._same(other)

    def decimal_text(self) -> str:
        """The amount in major units for people and PGs that want it so: 12900 USD is ``129.00``, 5 BHD ``0.005``."""
        exponent = exponent_of(self.currency)
        if exponent == 0:
            return str(self.amount)
        whole, part = divmod(abs(self.amount), 10**exponent)
        return f"{'-' if self.amount < 0 else ''}{whole}.{part:0{exponent}d}"

    def _same(self, other: "Money") -> int:
        """The other's amount, if it may be compared and added at all."""
        if self.currency != other.currency:
            raise Invalid(f"{self.currency} and {other.currency} do not add up or compare")
        return other.amount
