"""How the sandbox PG writes JSON."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response


def answer_json(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """Compact JSON."""
    raw = json.dumps(body, separators=(",", ":")).encode()
    return Response(raw, status, headers, media_type="application/json")
