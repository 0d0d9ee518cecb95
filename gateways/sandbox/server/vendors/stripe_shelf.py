"""Where the Stripe personality keeps its objects: by id, by PaymentIntent, by metadata; lists, search, ``expand``."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

from gateways.sandbox.server.personality import Counter
from gateways.sandbox.server.vendors import stripe_intake as intake
from gateways.sandbox.server.vendors import stripe_objects as objects
from gateways.sandbox.server.vendors import stripe_search as searching
from gateways.sandbox.server.vendors.stripe_instrument import Instrument
from gateways.sandbox.server.vendors.stripe_intake import Complaint
from gateways.sandbox.server.vendors.stripe_words import EXPANDABLE

Json = dict[str, Any]
Filter = Callable[[Json], bool]

_KIND_OF = {
    "pi": "payment_intent",
    "ch": "charge",
    "re": "refund",
    "txn": "balance_transaction",
    "pm": "payment_method",
    "cus": "customer",
    "prod": "product",
    "po": "payout",
    "ba": "bank_account",
}
_SPELT = {"payment_method": "PaymentMethod"}
_PATH_PARAMS = {"payment_intent": "intent", "checkout.session": "session"}
_PARTS = frozenset({"line_items", "refunds"})
"""What is told of an object only if it is asked for."""
_MOST_LEVELS = 4
_NOTHING: frozenset[str] = frozenset()
_DEFAULT_LAG_SECONDS = 0.05
_ROWS = "SELECT rowid FROM documents WHERE vendor=? AND account=? AND kind=?"


class Shelf:
    """Objects of all accounts."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def is_open(self, account: str) -> bool:
        """Whether the account speaks as Stripe already."""
        query = "SELECT 1 FROM personalities WHERE account=? AND vendor=?"
        return self._counter.storage.connection.execute(query, (account, self._counter.vendor)).fetchone() is not None

    def put(self, account: str, *things: Json) -> None:
        """Keep objects under their ids."""
        for thing in things:
            self._counter.write(account, thing["object"], thing["id"], thing)

    def take(self, account: str, thing_id: str | None, kind: str, *, param: str | None = None) -> Json:
        """An object by its id. Raises `Complaint` ``resource_missing``: 404 for a path, 400 for a ``param``."""
        found = self._counter.read(account, kind, thing_id or "")
        if found is None:
            raise _missing(kind, thing_id, param=param)
        return found

    def take_of(self, account: str, owner: str, owner_id: str, kind: str, thing_id: str) -> Json:
        """An object that belongs to another, a ``charge`` or a ``customer``. Raises `Complaint`."""
        self.take(account, owner_id, owner)
        found = self.take(account, thing_id, kind)
        if found[owner] != owner_id:
            raise _missing(kind, thing_id)
        return found

    def index(self, account: str, intent: Json) -> None:
        """Make a PaymentIntent known to the search by its metadata."""
        for name, value in intent["metadata"].items():
            key = f"{name}:{value}"
            ids = (self._counter.read(account, "metadata", key) or {"ids": []})["ids"]
            if intent["id"] not in ids:
                self._counter.write(account, "metadata", key, {"ids": [*ids, intent["id"]]})
        self._counter.write(account, "seen", intent["id"], {"at": self._counter.true_clock()})

    def expect_payment(self, account: str, merchant_ref: str, intent_id: str, *, alone: bool) -> None:
        """The ledger's payment with this reference will be this PaymentIntent's. ``alone``: nobody can be asked."""
        self._counter.write(account, "payer", merchant_ref, {"intent": intent_id, "alone": alone})

    def intent_of_payment(self, account: str, merchant_ref: str) -> tuple[str, bool]:
        """Which PaymentIntent the ledger's payment belongs to, and whether its customer can be asked."""
        found = self._counter.read(account, "payer", merchant_ref) or {}
        return str(found["intent"]), bool(found.get("alone"))

    def send_back_to(self, account: str, intent_id: str, return_url: str | None) -> None:
        """Where the customer of a PaymentIntent goes back to."""
        self._counter.write(account, "return_url", intent_id, {"url": return_url})

    def link_payment(self, account: str, intent_id: str, reference: str) -> None:
        """The ledger's payment of a PaymentIntent."""
        self._counter.write(account, "payment", intent_id, {"reference": reference})

    def payment_of(self, account: str, intent_id: str) -> str:
        """The ledger's reference of a PaymentIntent that was confirmed."""
        return str((self._counter.read(account, "payment", intent_id) or {})["reference"])

    def return_url(self, account: str, intent_id: str) -> str | None:
        """Where the customer goes back to."""
        found = self._counter.read(account, "return_url", intent_id)
        return None if found is None else found["url"]

    def remember_instrument(self, account: str, method_id: str, instrument: Instrument) -> None:
        """What a payment method will do."""
        self._counter.write(account, "instrument", method_id, asdict(instrument))

    def instrument_of(self, account: str, method_id: str) -> Instrument:
        """What a payment method will do."""
        return Instrument(**(self._counter.read(account, "instrument", method_id) or {}))

    def add_refund(self, account: str, charge_id: str, refund_id: str) -> None:
        """A refund of a charge, the newest."""
        ids = self._refund_ids(account, charge_id)
        self._counter.write(account, "refunds", charge_id, {"ids": [*ids, refund_id]})

    def refunds_of(self, account: str, charge_id: str) -> list[Json]:
        """A charge's refunds, the newest first."""
        return [self.take(account, one, "refund") for one in self._refund_ids(account, charge_id)][::-1]

    def newest(self, account: str, kind: str, *, than: str | None = None) -> Iterator[Json]:
        """Objects of a kind, the newest first; ``than``: only those made before that one."""
        given = [self._counter.vendor, account, kind]
        if than is None:
            return self._bodies(f"{_ROWS} ORDER BY rowid DESC", given)
        return self._bodies(f"{_ROWS} AND rowid < ({_ROWS} AND key=?) ORDER BY rowid DESC", [*given, *given, than])

    def newer(self, account: str, kind: str, than: str) -> Iterator[Json]:
        """Objects of a kind that were made after ``than``, the oldest first."""
        given = [self._counter.vendor, account, kind]
        return self._bodies(f"{_ROWS} AND rowid > ({_ROWS} AND key=?) ORDER BY rowid", [*given, *given, than])

    def page(self, account: str, kind: str, params: Json, url: str, fits: Filter) -> Json:
        """A page of the objects of a kind that fit, the newest first; ``created`` is a time or ``gt gte lt lte``."""
        limit, made = intake.limit(params), within(params, "created")
        after, before = intake.cursors(params)
        for name, cursor in (("starting_after", after), ("ending_before", before)):
            if cursor is not None:
                self.take(account, cursor, kind, param=name)
        there = self.newest(account, kind, than=after) if before is None else self.newer(account, kind, before)
        fitting = (one for one in there if not one.get("deleted") and made(one) and fits(one))
        found = list(islice(fitting, limit + 1))
        shown = found[:limit]
        return objects.page(shown if before is None else shown[::-1], url, has_more=len(found) > limit)

    def list_refunds(self, account: str, params: Json, url: str) -> Json:
        """``GET /v1/refunds``; those of a payment or charge are found without reading the others."""
        intent_id, charge_id = intake.text(params, "payment_intent"), intake.text(params, "charge")
        if intent_id is not None:
            charge_id = self.take(account, intent_id, "payment_intent", param="payment_intent")["latest_charge"]
        elif charge_id is None:
            return self.page(account, "refund", params, url, lambda _: True)
        else:
            self.take(account, charge_id, "charge", param="charge")
        made = within(params, "created")
        there = [one for one in self.refunds_of(account, charge_id or "") if made(one)]
        return _page_of(there, "refund", params, url)

    def list_parts(self, account: str, thing: Json, name: str, params: Json) -> Json:
        """The ``refunds`` of a charge, or the ``line_items`` of a Checkout Session."""
        if name == "refunds":
            return self.list_refunds(account, {**params, "charge": thing["id"]}, f"/v1/charges/{thing['id']}/refunds")
        items = (self._counter.read(account, "line_items", thing["id"]) or {"items": []})["items"]
        return _page_of(items, "item", params, f"/v1/checkout/sessions/{thing['id']}/line_items")

    def add_items(self, account: str, session_id: str, items: list[Json]) -> None:
        """The line items of a new Checkout Session; their products are kept apart."""
        products = [item["price"]["product"] for item in items]
        self.put(account, *products)
        for item, product in zip(items, products, strict=True):
            item["price"]["product"] = product["id"]
        self._counter.write(account, "line_items", session_id, {"items": items})

    def search(self, account: str, kind: str, params: Json, url: str) -> Json:
        """What a query finds, the newest first. What is younger than the lag is not there yet."""
        query = searching.parse(str(intake.required(params, "query")), kind)
        limit, page = intake.limit(params), intake.text(params, "page")
        if page is not None and self._counter.read(account, kind, page) is None:
            raise Complaint(400, "Invalid `page` parameter.", param="page")
        exact = query.exact_metadata() if kind == "payment_intent" else None
        candidates = self.newest(account, kind, than=page) if exact is None else self._indexed(account, exact, page)
        settled = self._counter.true_clock() - self._lag(account)
        fitting = (one for one in candidates if not one.get("deleted") and query.fits(one))
        found = list(islice((one for one in fitting if self._seen_at(account, one) <= settled), limit + 1))
        more = len(found) > limit
        return {
            "object": "search_result",
            "data": found[:limit],
            "has_more": more,
            "next_page": found[limit - 1]["id"] if more else None,
            "url": url,
        }

    def set_lag(self, account: str, seconds: float) -> None:
        """How late the search of an account is."""
        self._counter.write(account, "settings", "search", {"lag": seconds})

    def expand(self, account: str, thing: Json, paths: list[str]) -> Json:
        """Replace ids by objects where ``expand[]`` says so. Raises `Complaint`."""
        for path in paths:
            parts = path.split(".")
            if len(parts) > _MOST_LEVELS:
                raise Complaint(400, "You cannot expand more than 4 levels of a property.", param="expand")
            self._expand(account, thing, parts)
        return thing

    def _expand(self, account: str, thing: Json, parts: list[str]) -> None:
        name, *rest = parts
        if name == "data" and isinstance(thing.get("data"), list):
            for one in thing["data"]:
                self._expand(account, one, rest)
            return
        value = thing.get(name)
        if not isinstance(value, dict) and name not in EXPANDABLE.get(thing.get("object", ""), _NOTHING):
            hint = f" You may want to try expanding 'data.{name}' instead." if "data" in thing else ""
            raise Complaint(400, f"This property cannot be expanded ({name}).{hint}")
        if name in _PARTS and value is None:
            value = thing[name] = self.list_parts(account, thing, name, {})
        elif isinstance(value, str):
            value = thing[name] = self.take(account, value, _KIND_OF[value.partition("_")[0]])
        if rest and isinstance(value, dict):
            self._expand(account, value, rest)

    def _refund_ids(self, account: str, charge_id: str) -> list[str]:
        found = self._counter.read(account, "refunds", charge_id)
        return [] if found is None else list(found["ids"])

    def _indexed(self, account: str, exact: tuple[str, str], page: str | None) -> Iterator[Json]:
        """PaymentIntents that had this metadata once, the newest first; those before ``page`` have been told."""
        ids = list(reversed((self._counter.read(account, "metadata", ":".join(exact)) or {"ids": []})["ids"]))
        later = ids[ids.index(page) + 1 :] if page in ids else ids
        return (self.take(account, one, "payment_intent") for one in later)

    def _seen_at(self, account: str, thing: Json) -> float:
        seen = self._counter.read(account, "seen", thing["id"])
        return float(thing["created"] if seen is None else seen["at"])

    def _bodies(self, query: str, given: Sequence[str]) -> Iterator[Json]:
        """The documents of rows, each read when it is asked for."""
        connection = self._counter.storage.connection
        for row in connection.execute(query, given).fetchall():
            found = connection.execute("SELECT body FROM documents WHERE rowid=?", (row[0],)).fetchone()
            yield json.loads(found["body"])

    def _lag(self, account: str) -> float:
        found = self._counter.read(account, "settings", "search")
        return _DEFAULT_LAG_SECONDS if found is None else float(found["lag"])


def _missing(kind: str, thing_id: str | None, *, param: str | None = None) -> Complaint:
    """``resource_missing``: 404 for what a path names, 400 for a ``param``."""
    message = f"No such {_SPELT.get(kind, kind)}: '{(thing_id or '')[:60]}'"
    named = param or _path_param(kind)
    return Complaint(404 if param is None else 400, message, code="resource_missing", param=named)


def _page_of(there: list[Json], kind: str, params: Json, url: str) -> Json:
    """A page of the few objects that another one has. Raises `Complaint`."""
    limit, ids = intake.limit(params), [one["id"] for one in there]
    after, before = intake.cursors(params)
    for name, cursor in (("starting_after", after), ("ending_before", before)):
        if cursor is not None and cursor not in ids:
            raise _missing(kind, cursor, param=name)
    if before is not None:
        earlier = there[: ids.index(before)]
        return objects.page(earlier[-limit:], url, has_more=len(earlier) > limit)
    later = there if after is None else there[ids.index(after) + 1 :]
    return objects.page(later[:limit], url, has_more=len(later) > limit)


def within(params: Json, name: str) -> Filter:
    """A filter by a time, Unix seconds: that very one, or ``gt gte lt lte``. Raises `Complaint`."""
    given = params.get(name)
    if given is None:
        return lambda _: True
    bounds = given if isinstance(given, dict) else {"gte": given, "lte": given}
    checks = {"gt": int.__gt__, "gte": int.__ge__, "lt": int.__lt__, "lte": int.__le__}
    for word, value in bounds.items():
        if word not in checks:
            raise Complaint(400, f"Invalid {name}: {word}", param=name)
        if not str(value).isdecimal():
            raise Complaint(400, f"Invalid {name}: {str(value)[:60]} is no time in Unix seconds.", param=name)
    return lambda thing: all(checks[word](thing[name], int(value)) for word, value in bounds.items())


def is_like(thing: Json, wanted: Json) -> bool:
    """Whether an object has what is wanted; None: whatever it has."""
    return all(value is None or thing.get(name) == value for name, value in wanted.items())


def _path_param(kind: str) -> str:
    return {**dict.fromkeys(("payment_method", "payout"), kind), **_PATH_PARAMS}.get(kind, "id")
