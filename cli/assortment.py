"""What the demo store sells: a few products, each in its colours and sizes. Prices are KRW with tax included."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from zlib import crc32

VAT = 1000
"""Korean value-added tax in basis points; books are exempt."""
PLENTY = 1_000_000
"""Pieces of the SKUs that examples and load tests order."""
PLENTIFUL = frozenset({"TEE-BLK-M", "MUG-01"})
SCARCE_ONE_IN = 12
"""So many SKUs share one that is nearly sold out."""

_COLOURS = {
    "BLK": "black",
    "WHT": "white",
    "NVY": "navy",
    "GRY": "grey",
    "OLV": "olive",
    "BEI": "beige",
    "RED": "red",
}
_LETTERS = ("S", "M", "L", "XL", "XXL")
_WAISTS = ("28", "29", "30", "31", "32", "33", "34")
_SHOES = ("240", "245", "250", "255", "260", "265", "270", "275")
_ONE_SIZE = ("",)


@dataclass(frozen=True, slots=True)
class Article:
    """One SKU to be sold. ``on_hand`` None: not tracked (gift cards, services)."""

    sku: str
    name: str
    price: int
    tax_rate: int
    on_hand: int | None
    options: dict[str, str]


def assortment() -> Iterator[Article]:
    """Every SKU of the demo store; the same each time."""
    for code, name, price, colours, sizes in _APPAREL:
        for colour, size in product(colours.split(), sizes):
            options = {"color": _COLOURS[colour]} | ({"size": size} if size else {})
            sku = "-".join(part for part in (code, colour, size) if part)
            yield _tracked(sku, f"{name}, {', '.join(options.values())}", price, options)
    for code, name, price, designs in _HOME:
        for number, design in enumerate(designs.split(), start=1):
            yield _tracked(f"{code}-{number:02}", f"{name}, {design}", price, {"design": design})
    for number, title in enumerate(_BOOKS, start=1):
        yield _tracked(f"BOOK-{number:02}", title, 18_000, {"format": "hardcover"}, tax_rate=0)
    for value in (10_000, 30_000, 50_000, 100_000):
        yield Article(f"GIFT-{value // 1000}K", f"Gift card {value:,} KRW", value, 0, None, {"value": f"{value:,}"})
    for code, name, price in _SERVICES:
        yield Article(code, name, price, VAT, None, {})


def _tracked(sku: str, name: str, price: int, options: dict[str, str], *, tax_rate: int = VAT) -> Article:
    return Article(sku, name, price, tax_rate, _on_hand(sku), options)


def _on_hand(sku: str) -> int:
    """A believable number that depends on the SKU alone."""
    if sku in PLENTIFUL:
        return PLENTY
    dice = crc32(sku.encode())
    return dice % 5 if dice % SCARCE_ONE_IN == 0 else 200 + dice % 1800


_APPAREL = (
    ("TEE", "Organic cotton T-shirt", 19_900, "BLK WHT NVY GRY OLV", _LETTERS),
    ("LST", "Long-sleeved T-shirt", 29_900, "BLK WHT NVY GRY", _LETTERS),
    ("HOD", "Hooded sweatshirt", 59_000, "BLK GRY NVY OLV BEI", _LETTERS),
    ("SWT", "Crew-neck sweatshirt", 49_000, "BLK GRY NVY BEI", _LETTERS),
    ("OXF", "Oxford shirt", 54_900, "WHT NVY BEI OLV", _LETTERS),
    ("KNT", "Lambswool pullover", 89_000, "BLK NVY GRY RED", _LETTERS),
    ("CRD", "Merino cardigan", 98_000, "BLK GRY BEI", _LETTERS),
    ("JKT", "Field jacket", 149_000, "BLK OLV NVY", _LETTERS),
    ("DNM", "Selvedge jeans", 109_000, "NVY BLK", _WAISTS),
    ("CHN", "Straight chinos", 69_000, "BEI NVY OLV", _WAISTS),
    ("SHO", "Linen shorts", 45_000, "BEI NVY", _LETTERS),
    ("DRS", "Poplin dress", 79_000, "BLK WHT NVY RED", ("S", "M", "L")),
    ("SNK", "Court sneakers", 99_000, "WHT BLK", _SHOES),
    ("SCK", "Ribbed socks, three pairs", 12_900, "BLK WHT GRY NVY", ("240-260", "265-285")),
    ("BLT", "Leather belt", 39_000, "BLK BEI", ("M", "L")),
    ("CAP", "Washed cap", 29_000, "BLK NVY BEI OLV", _ONE_SIZE),
    ("BNI", "Wool beanie", 25_000, "BLK GRY RED", _ONE_SIZE),
    ("SCF", "Wool scarf", 45_000, "GRY NVY RED", _ONE_SIZE),
    ("TOT", "Canvas tote bag", 24_000, "BLK WHT NVY", _ONE_SIZE),
    ("BPK", "Roll-top backpack", 129_000, "BLK OLV", _ONE_SIZE),
)
_HOME = (
    ("MUG", "Stoneware mug", 14_900, "plain speckled celadon indigo moon pine"),
    ("PLT", "Stoneware plate", 22_000, "plain speckled celadon indigo"),
    ("BWL", "Rice bowl", 18_000, "plain celadon indigo"),
    ("CDL", "Soy candle", 32_000, "cedar fig rain tea"),
    ("TWL", "Bath towel", 28_000, "white grey sand"),
    ("CUS", "Linen cushion", 36_000, "natural ink rust"),
    ("NTB", "Notebook", 9_900, "lined dotted blank"),
    ("PST", "Art print", 35_000, "harbour mountain alley"),
)
_BOOKS = ("Tea Houses of Seoul", "A Year of Kimchi", "Hanok: Rooms of Light")
_SERVICES = (
    ("WRAP", "Gift wrapping", 3_000),
    ("MONO", "Monogram, up to three letters", 8_000),
    ("HEM", "Trouser hemming", 7_000),
)
