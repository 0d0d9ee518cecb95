"""Events of the Stripe personality: kept to be listed, and posted to the account's webhook endpoint."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gateways.sandbox.server.personality import Counter
from gateways.sandbox.server.vendors import stripe_intake as intake
from gateways.sandbox.server.vendors import stripe_objects as objects
from gateways.sandbox.server.vendors.stripe_intake import Complaint
from gateways.sandbox.server.vendors.stripe_shelf import Shelf

Json = dict[str, Any]


class Events:
    """What happened in all accounts. An event names the request that caused it, if one did."""

    def __init__(self, counter: Counter, shelf: Shelf) -> None:
        self._counter = counter
        self._shelf = shelf
        self._cause: Json = _NOBODY

    @contextmanager
    def caused_by(self, request_id: str, key: str) -> Iterator[None]:
        """Everything told inside was caused by this request; ``key``: its Idempotency-Key, or empty."""
        self._cause = {"id": request_id, "idempotency_key": key or None}
        try:
            yield
        finally:
            self._cause = _NOBODY

    def tell(self, account: str, kind: str, about: Json, operation: str, before: Json | None = None) -> None:
        """Keep and post an event; ``before``: what the object was, for an event that tells of a change."""
        event = objects.event(kind, about, self._cause, self._counter.clock())
        if before is not None:
            changed = {name for name in about.keys() | before.keys() if about.get(name) != before.get(name)}
            event["data"]["previous_attributes"] = {name: before.get(name) for name in sorted(changed)}
        self._shelf.put(account, event)
        self._counter.post(account, event["id"], json.dumps(event), operation)

    def page(self, account: str, params: Json) -> Json:
        """``GET /v1/events``; ``type`` may end in ``.*``."""
        kind, kinds = intake.text(params, "type"), intake.words(params, "types")
        if kind is not None and kinds:
            raise Complaint(400, "You may only specify one of these parameters: type, types.")
        wanted = [kind] if kind is not None else kinds

        def fits(event: Json) -> bool:
            return not wanted or any(_is_kind(event["type"], one) for one in wanted)

        return self._shelf.page(account, "event", params, "/v1/events", fits)


_NOBODY: Json = {"id": None, "idempotency_key": None}


def _is_kind(kind: str, wanted: str) -> bool:
    return kind == wanted or (wanted.endswith("*") and kind.startswith(wanted[:-1]))
