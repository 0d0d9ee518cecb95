"""Dividing an amount so that the parts always add up to it. All amounts are minor units, all arithmetic is integer."""

from collections.abc import Sequence


def allocate(total: int, weights: Sequence[int]) -> tuple[int, ...]:
    """Divide ``total`` in proportion to ``weights`` by largest remainder; the parts sum to ``total`` exactly.

    Each part is its exact share rounded down, then the missing units go one each to the largest fractions, ties in
    order (Hamilton's method). Weights that are all zero count as equal. Raises
    `ValueError` for negative figures and for money without anybody to carry it.
    """
    if total < 0 or any(weight < 0 for weight in weights):
        raise ValueError("a total and its weights cannot be negative")
    if not weights:
        if total:
            raise ValueError(f"{total} minor units and nothing to allocate them to")
        return ()
    whole = sum(weights)
    if whole == 0:
        return allocate(total, [1] * len(weights))
    return _round_parts(total, [total * weight for weight in weights], whole)


def split_share(share: int, quantity: int, part: int) -> int:
    """What leaves with ``part`` of ``quantity`` units when an item row splits; the row keeps the rest.

    Rounded down, and the divisor is always what the row holds *now*: so the rows of a line always add up to the
    line's share, however often they split, and what rounding left behind goes with the last unit. Split one figure of
    an equation and derive the other (paid = price - discount): floors of both would lose a unit between them.
    """
    if share < 0 or not 0 <= part <= quantity or quantity == 0:
        raise ValueError(f"cannot split {part} of {quantity} units carrying {share}")
    return share * part // quantity


def tax_included(gross: int, rate_basis_points: int) -> int:
    """The tax inside a gross price, rounded half up: 11000 at 1000 basis points (10 %) contains 1000."""
    if gross < 0 or rate_basis_points < 0:
        raise ValueError("a gross price and a tax rate cannot be negative")
    whole = 10_000 + rate_basis_points
    return (2 * gross * rate_basis_points + whole) // (2 * whole)


def included_taxes(amounts: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """The tax inside each ``(gross, rate in basis points)``, such that each rate's taxes sum to the tax of its total.

    The tax is due on the sum (one rounding per rate, as on an invoice), then given to the members by the largest
    remainder of their own exact taxes. Rounding each member alone would miss the invoice by up to half a unit each.
    """
    taxes = [0] * len(amounts)
    for rate in {rate for _, rate in amounts}:
        members = [index for index, (_, own) in enumerate(amounts) if own == rate]
        due = tax_included(sum(amounts[index][0] for index in members), rate)
        parts = _round_parts(due, [amounts[index][0] * rate for index in members], 10_000 + rate)
        for index, tax in zip(members, parts, strict=True):
            taxes[index] = tax
    return tuple(taxes)


def _round_parts(total: int, numerators: Sequence[int], denominator: int) -> tuple[int, ...]:
    """Round the exact parts ``numerator / denominator``, whose sum rounds to ``total``, so that they sum to it."""
    parts = [numerator // denominator for numerator in numerators]
    by_fraction = sorted(range(len(parts)), key=lambda index: -(numerators[index] % denominator))
    for index in by_fraction[: total - sum(parts)]:
        parts[index] += 1
    return tuple(parts)
