"""The query language of Stripe's search: clauses joined by AND or by OR.

https://docs.stripe.com/search#search-query-language
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateways.sandbox.server.vendors.stripe_intake import Complaint

_CLAUSE = re.compile(
    r"\s*(?P<minus>-?)(?:metadata\[(['\"])(?P<name>[^'\"]+)\2\]|(?P<field>[a-z_.]+))\s*"
    r"(?P<operator>:|~|>=|<=|>|<)\s*(?:(?P<quote>['\"])(?P<quoted>.*?)(?P=quote)|(?P<bare>null|-?[0-9]+))\s*"
)
_JOINED = re.compile(r"\s*(?P<word>AND|OR)\b", re.IGNORECASE)
FIELDS: Mapping[str, frozenset[str]] = {
    "payment_intent": frozenset({"amount", "created", "currency", "customer", "status"}),
    "charge": frozenset(
        {
            "amount",
            "created",
            "currency",
            "customer",
            "disputed",
            "refunded",
            "status",
            "payment_method_details.card.last4",
        }
    ),
    "customer": frozenset({"created", "email", "name", "phone"}),
}
"""What can be searched for, beside ``metadata``."""
_PARTLY = frozenset({"email", "name", "phone"})
"""What can be found by a part of it, beside ``metadata``."""
_COMPARISONS: Mapping[str, Callable[[int, int], bool]] = {
    ">": int.__gt__,
    ">=": int.__ge__,
    "<": int.__lt__,
    "<=": int.__le__,
}


@dataclass(frozen=True, slots=True)
class Clause:
    """``[-]field operator value``, or of ``metadata[name]``. ``value`` None: ``null``."""

    negated: bool
    field: str
    name: str | None
    operator: str
    value: str | None

    def fits(self, thing: Mapping[str, Any]) -> bool:
        """Whether an object is found by this clause alone."""
        return self._holds(thing) is not self.negated

    def _holds(self, thing: Mapping[str, Any]) -> bool:
        found = thing["metadata"].get(self.name) if self.name is not None else _at(thing, self.field)
        if self.value is None or found is None:
            return found is self.value
        if self.operator in _COMPARISONS:
            return type(found) is int and _COMPARISONS[self.operator](found, int(self.value))
        shown = str(found).lower()
        return self.value.lower() in shown if self.operator == "~" else shown == self.value.lower()


@dataclass(frozen=True, slots=True)
class Query:
    """``clauses`` of which all must fit, or with ``either`` one."""

    clauses: tuple[Clause, ...]
    either: bool

    def fits(self, thing: Mapping[str, Any]) -> bool:
        """Whether an object is found."""
        fitting = (clause.fits(thing) for clause in self.clauses)
        return any(fitting) if self.either else all(fitting)

    def exact_metadata(self) -> tuple[str, str] | None:
        """A key and value that every found object must have, or None."""
        for clause in () if self.either else self.clauses:
            if clause.name is not None and clause.value is not None and not clause.negated and clause.operator == ":":
                return clause.name, clause.value
        return None


def parse(text: str, kind: str) -> Query:
    """Read a query for objects of ``kind``. Raises `Complaint`."""
    clauses, words, rest = [], set(), text
    while True:
        match = _CLAUSE.match(rest)
        if match is None:
            raise _unparsable()
        clauses.append(_clause(match, kind))
        rest = rest[match.end() :]
        if not rest:
            break
        joined = _JOINED.match(rest)
        if joined is not None:
            words.add(joined["word"].upper())
            rest = rest[joined.end() :]
        else:
            words.add("AND")
    if len(words) > 1:
        raise Complaint(400, "You can't combine AND and OR in the same search query.", param="query")
    return Query(tuple(clauses), words == {"OR"})


def _clause(match: re.Match[str], kind: str) -> Clause:
    field, operator = match["field"] or "metadata", match["operator"]
    if match["name"] is None and field not in FIELDS[kind]:
        message = f"Field `{field[:40]}` is an unsupported search field for resource `{kind}s`."
        raise Complaint(400, message, param="query")
    if operator == "~" and match["name"] is None and field not in _PARTLY:
        raise Complaint(400, f"Field `{field}` does not support the `~` operator.", param="query")
    value = match["quoted"] if match["quoted"] is not None else match["bare"]
    if operator in _COMPARISONS and not value.lstrip("-").isdecimal():
        raise _unparsable()
    return Clause(bool(match["minus"]), field, match["name"], operator, None if match["bare"] == "null" else value)


def _at(thing: Any, path: str) -> Any:
    for part in path.split("."):
        thing = thing.get(part) if isinstance(thing, dict) else None
    return thing


def _unparsable() -> Complaint:
    message = (
        'We were unable to parse your search query. Try using the format `metadata["key"]:"value"` to query for '
        'metadata or key:"value" to query for other fields.'
    )
    return Complaint(400, message, param="query")
