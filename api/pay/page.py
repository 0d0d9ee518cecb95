"""Pages as HTML: what is shown, in the customer's language and by the store's clock. Pure."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from api.pay.bank import bank_name
from api.pay.words import LANGUAGES, WORDS, money, reason_of

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined
)
_UNBROKEN = Markup('<span class="unbroken">{}</span>')


def said(words: str, **what: object) -> Markup:
    """A sentence with its blanks filled in; whatever is not markup already is escaped."""
    return escape(words).format(**what)


def amount(minor_units: int, currency: str) -> Markup:
    """An amount that stays on one line."""
    return Markup('<span class="amount">{}</span>').format(money(minor_units, currency))


def moment(at: datetime, clock: ZoneInfo) -> Markup:
    """A time by this clock, for people and for machines; it may be parted between the day and the hour."""
    there = at.astimezone(clock)
    parts = Markup(" ").join(_UNBROKEN.format(part) for part in (f"{there:%Y-%m-%d}", f"{there:%H:%M %Z}"))
    return Markup('<time datetime="{}">{}</time>').format(there.isoformat(timespec="seconds"), parts)


def write(template: str, language: str, *, nonce: str, **shown: object) -> str:
    """The HTML document of a template of ours; ``nonce`` is what its style is allowed by."""
    other = next(other for other in LANGUAGES if other != language)
    return _TEMPLATES.get_template(template).render(
        t=WORDS[language], language=language, other=other, nonce=nonce, **shown
    )


_TEMPLATES.globals.update(said=said, amount=amount, moment=moment, reason_of=reason_of, bank_name=bank_name)
