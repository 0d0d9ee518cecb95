"""What an audit has compared, and where two sides do not agree."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One thing that two sides have differently. ``subject``: an order's number, where there is one.

    Those of one ``group`` follow each other and have one remedy.
    """

    subject: str
    what: str
    remedy: str
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One comparison. ``unasked``: why it could not be made, so that nothing is known of it."""

    name: str
    compared: int = 0
    disagreements: tuple[Disagreement, ...] = ()
    unasked: str | None = None
