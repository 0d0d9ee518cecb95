"""Where the Stripe personality keeps its objects: by id, by PaymentIntent, by metadata; lists, search, ``expand``."""

import re
from typing import Any

from gateways.sandbox.server.personality import Counter
from gateways.sandbox.server.vendors import stripe_intake as intake
from gateways.sandbox.server.vendors import stripe_objects as objects
from gateways.sandbox.server.vendors.stripe_instrument import Instrument
from gateways.sandbox.server.vendors.stripe_intake import Complaint

Json = dict[str, Any]

_KIND_OF = {
    "pi": "payment_intent",
    "ch": "charge",
    "re": "refund",
    "txn": "balance_transaction",
    "pm": "payment_method",
}
_EXPANDABLE = frozenset(
    {"latest_charge", "payment_method", "payment_intent", "charge", "balance_transaction", "source"}
)
_MOST_LEVELS = 4
_CLAUSE = re.compile(
    r"\s*(?:metadata\[(['\"])(?P<name>[^'\"]+)\1\]|(?P<field>[a-z_]+))\s*:\s*(['\"]?)(?P<value>[^'\"]*)\4\s*"
)
_SEARCHED = frozenset({"status", "currency", "amount", "customer"})
_DEFAULT_LAG_SECONDS = 0.05


class Shelf:
    """Objects of all accounts."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def put(self, account: str, *things: Json) -> None:
        """Keep objects under their ids."""
        for thing in things:
            self._counter.write(account, thing["object"], thing["id"], thing)

    def take(self, account: str, thing_id: str | None, kind: str, *, param: str | None = None) -> Json:
        """An object by its id. Raises `Complaint` ``resource_missing``: 404 for a path, 400 for a ``param``."""
        found = self._counter.read(account, kind, thing_id or "")
        if found is None:
            message = f"No such {kind}: '{(thing_id or '')[:60]}'"
            status = 404 if param is None else 400
            raise Complaint(status, message, code="resource_missing", param=param or _path_param(kind))
        return found

    def index(self, account: str, intent: Json) -> None:
        """Make a PaymentIntent known to the search by its metadata."""
        for name, value in intent["metadata"].items():
            key = f"{name}:{value}"
            ids = (self._counter.read(account, "metadata", key) or {"ids": []})["ids"]
            self._counter.write(account, "metadata", key, {"ids": [*ids, intent["id"]]})
        self._counter.write(account, "seen", intent["id"], {"at": self._counter.clock()})

    def expect_payment(self, account: str, merchant_ref: str, intent_id: str, return_url: str | None) -> None:
        """The ledger's payment with this reference will be this PaymentIntent's."""
        self._counter.write(account, "payer", merchant_ref, {"intent": intent_id})
        self._counter.write(account, "return_url", intent_id, {"url": return_url})

    def intent_of_payment(self, account: str, merchant_ref: str) -> str:
        """Which PaymentIntent the ledger's payment belongs to."""
        return str((self._counter.read(account, "payer", merchant_ref) or {})["intent"])

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
        kept = {"token": instrument.token, "last4": instrument.last4, "refunds": instrument.refunds}
        self._counter.write(account, "instrument", method_id, kept)

    def instrument_of(self, account: str, method_id: str) -> Instrument:
        """What a payment method will do."""
        return Instrument(**(self._counter.read(account, "instrument", method_id) or {}))

    def add_refund(self, account: str, charge_id: str, refund_id: str) -> None:
        """A refund of a charge, the newest."""
        ids = self._refund_ids(account, charge_id)
        self._counter.write(account, "refunds", charge_id, {"ids": [*ids, refund_id]})

    def list_refunds(self, account: str, params: Json) -> Json:
        """``GET /v1/refunds``, the newest first."""
        intent_id, charge_id = intake.text(params, "payment_intent"), intake.text(params, "charge")
        if intent_id is not None:
            charge_id = self.take(account, intent_id, "payment_intent", param="payment_intent")["latest_charge"]
        if intent_id is None and charge_id is None:
            found = self._counter.every(account, "refund")
        else:
            ids = self._refund_ids(account, charge_id or "")
            found = [self.take(account, one, "refund") for one in ids]
        return _page(found, params, "/v1/refunds")

    def list_balance(self, account: str, params: Json) -> Json:
        """``GET /v1/balance_transactions``, the newest first; ``created`` is a time or ``gt gte lt lte``."""
        found = [one for one in self._counter.every(account, "balance_transaction") if _created_within(one, params)]
        for name in ("type", "currency", "source"):
            if (wanted := intake.text(params, name)) is not None:
                found = [one for one in found if one[name] == wanted]
        if intake.text(params, "payout") is not None:
            found = []  # the sandbox pays nothing out
        return _page(found, params, "/v1/balance_transactions")

    def search(self, account: str, params: Json) -> Json:
        """``GET /v1/payment_intents/search``: clauses joined by AND. What is younger than the lag is not there yet."""
        clauses = [_clause(part) for part in str(intake.required(params, "query")).split(" AND ")]
        candidates: list[Json] | None = None
        for name, value in [clause[1:] for clause in clauses if clause[0] == "metadata"]:
            ids = (self._counter.read(account, "metadata", f"{name}:{value}") or {"ids": []})["ids"]
            known = {one["id"] for one in candidates} if candidates is not None else None
            candidates = [self.take(account, one, "payment_intent") for one in ids if known is None or one in known]
        if candidates is None:
            candidates = self._counter.every(account, "payment_intent")
        for kind, name, value in clauses:
            if kind == "field":
                candidates = [one for one in candidates if str(one[name]) == value]
        settled = self._counter.clock() - self._lag(account)
        seen = [
            one for one in candidates if (self._counter.read(account, "seen", one["id"]) or {"at": 0})["at"] <= settled
        ]
        limit = intake.limit(params)
        newest = seen[::-1]
        return {
            "object": "search_result",
            "data": newest[:limit],
            "has_more": len(newest) > limit,
            "next_page": None,
            "url": "/v1/payment_intents/search",
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
        if name == "refunds" and thing.get("object") == "charge":
            if "refunds" not in thing:
                found = [self.take(account, one, "refund") for one in self._refund_ids(account, thing["id"])][::-1]
                url = f"/v1/charges/{thing['id']}/refunds"
                thing["refunds"] = objects.page(found[:10], url, has_more=len(found) > 10)
        elif name not in thing or (name not in _EXPANDABLE and thing[name] is not None):
            raise Complaint(400, f"This property cannot be expanded ({name}).", param="expand[]")
        elif isinstance(thing[name], str):
            kind = _KIND_OF[thing[name].partition("_")[0]]
            thing[name] = self.take(account, thing[name], kind)
        if rest and isinstance(thing[name], dict):
            self._expand(account, thing[name], rest)

    def _refund_ids(self, account: str, charge_id: str) -> list[str]:
        found = self._counter.read(account, "refunds", charge_id)
        return [] if found is None else list(found["ids"])

    def _lag(self, account: str) -> float:
        found = self._counter.read(account, "settings", "search")
        return _DEFAULT_LAG_SECONDS if found is None else float(found["lag"])


def _page(found: list[Json], params: Json, url: str) -> Json:
    """A page of ``found``, which is given the oldest first."""
    newest, limit = found[::-1], intake.limit(params)
    ids = [one["id"] for one in newest]
    after, before = intake.text(params, "starting_after"), intake.text(params, "ending_before")
    for name, cursor in (("starting_after", after), ("ending_before", before)):
        if cursor is not None and cursor not in ids:
            raise Complaint(400, f"No such object: '{cursor[:60]}'", code="resource_missing", param=name)
    if before is not None:
        earlier = newest[: ids.index(before)]
        return objects.page(earlier[-limit:], url, has_more=len(earlier) > limit)
    rest = newest if after is None else newest[ids.index(after) + 1 :]
    return objects.page(rest[:limit], url, has_more=len(rest) > limit)


def _created_within(thing: Json, params: Json) -> bool:
    created = params.get("created")
    if created is None:
        return True
    bounds = created if isinstance(created, dict) else {"gte": created, "lte": created}
    checks = {"gt": int.__gt__, "gte": int.__ge__, "lt": int.__lt__, "lte": int.__le__}
    for name, value in bounds.items():
        if name not in checks or not str(value).isdecimal():
            raise Complaint(400, f"Invalid created: {name}", param="created")
        if not checks[name](thing["created"], int(value)):
            return False
    return True


def _clause(part: str) -> tuple[str, str, str]:
    match = _CLAUSE.fullmatch(part)
    if match is None or (match["field"] is not None and match["field"] not in _SEARCHED):
        raise Complaint(400, f"We were unable to parse your search query: {part[:100]}", param="query")
    if match["name"] is not None:
        return "metadata", str(match["name"]), str(match["value"])
    return "field", str(match["field"]), str(match["value"])


def _path_param(kind: str) -> str:
    return {"payment_intent": "intent"}.get(kind, kind)
