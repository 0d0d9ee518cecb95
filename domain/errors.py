"""Refusals: the one family of errors that means "no", never "try again".

Every subclass has a stable ``code``. `api/errors.py` maps each to an HTTP status; a house test fails until both exist.
A refusal crosses Temporal as the plain value `Problem`, so that history never depends on exception classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing wrong in a payload: where (JSON pointer), which rule, and in words."""

    pointer: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A refusal as a value: what the caller, the command row and the workflow's history see."""

    code: str
    detail: str
    figures: dict[str, Any] = field(default_factory=dict)
    flaws: tuple[Flaw, ...] = ()


class Rejected(Exception):
    """A definite no. Never retried. ``figures`` carry the server's own numbers (minor units)."""

    code: ClassVar[str] = "rejected"

    def __init__(self, detail: str, *, figures: Mapping[str, Any] | None = None, flaws: Sequence[Flaw] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.figures = dict(figures or {})
        self.flaws = tuple(flaws)

    @property
    def problem(self) -> Problem:
        """The same refusal as a value."""
        return Problem(code=self.code, detail=self.detail, figures=self.figures, flaws=self.flaws)


class Invalid(Rejected):
    """The request names things that do not exist or do not fit together; ``flaws`` point at each."""

    code = "invalid_request"


class IllegalTransition(Rejected):
    """A state would leave its table. Names from, to and what is allowed."""

    code = "illegal_transition"


class TotalMismatch(Rejected):
    """The total or the payments that the client shows are not what the catalogue says."""

    code = "total_mismatch"


class OutOfStock(Rejected):
    """Not enough pieces; ``figures.skus`` names them with what is wanted and available."""

    code = "out_of_stock"


class NumberTaken(Rejected):
    """The drawn order number belongs to another order: draw again."""

    code = "number_taken"


class AmountExceeded(Rejected):
    """More money than a ceiling allows (capture, refund, item, request)."""

    code = "amount_exceeded"


class NothingToDo(Rejected):
    """The command would change nothing: all of it has already happened or does not apply."""

    code = "nothing_to_do"


class DifferenceUnsettled(Rejected):
    """An exchange leaves a difference in money that the chosen way cannot settle."""

    code = "difference_unsettled"


class ChangeOpen(Rejected):
    """Another change of this order is still waiting (at most one at a time)."""

    code = "change_open"


class UnknownOrder(Rejected):
    """No such order in this store."""

    code = "order_not_found"


class NoGatewayEligible(Rejected):
    """No PG account of the store can take this payment; ``figures.candidates`` says why for each."""

    code = "no_gateway_eligible"


class InsufficientValue(Rejected):
    """Points, gift card or store credit do not cover the amount."""

    code = "insufficient_value"
