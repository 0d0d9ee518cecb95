"""What the sandbox PG says it has settled on a day (UTC): every capture and refund of its ledger, without fees."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateways.sandbox.server.intake import authenticate, read_number
from gateways.sandbox.server.refusal import invalid
from gateways.sandbox.server.response import answer_json
from gateways.sandbox.server.storage import Storage

_MAX_LIMIT = 1_000
_QUERY = """
SELECT * FROM ledger
WHERE account = ? AND id > ? AND at >= ? AND at < ? AND status = 'succeeded' AND operation IN ('capture', 'refund')
ORDER BY id LIMIT ?
"""


class Settlement:
    """``GET /{account}/v1/settlements?day=&cursor=&limit=`` -> ``{"lines": [...], "next": cursor or null}``."""

    def __init__(self, storage: Storage, *, keys: Mapping[str, str]) -> None:
        self._connection = storage.connection
        self._keys = keys

    def routes(self) -> list[Route]:
        """The routes."""
        return [Route("/{account}/v1/settlements", self._read, methods=["GET"])]

    async def _read(self, request: Request) -> Response:
        account = authenticate(request, self._keys)
        query = request.query_params
        day = _day(query.get("day", ""))
        limit = read_number(query.get("limit"), "limit", _MAX_LIMIT) or _MAX_LIMIT
        after = read_number(query.get("cursor"), "cursor", 10**18) or 0
        span = (day.isoformat(), (day + timedelta(days=1)).isoformat())
        rows = self._connection.execute(_QUERY, (account, after, *span, limit + 1)).fetchall()
        lines = [_line(dict(row)) for row in rows[:limit]]
        return answer_json(200, {"lines": lines, "next": lines[-1]["id"] if len(rows) > limit else None})


def _line(entry: dict[str, Any]) -> dict[str, Any]:
    """Amounts in minor units; a refund's are negative."""
    gross = entry["amount"] if entry["operation"] == "capture" else -entry["amount"]
    shown = {name: entry[name] for name in ("operation_id", "reference", "merchant_ref", "currency")}
    kind = "charge" if gross > 0 else "refund"
    return {"id": str(entry["id"]), "kind": kind, "gross": gross, "fee": 0, "net": gross, "at": entry["at"], **shown}


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise invalid("day", "must be YYYY-MM-DD") from error
    if not 2000 <= day.year <= 9000:
        raise invalid("day", "must be in the years 2000 to 9000")
    return day
