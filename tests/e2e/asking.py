"""Small ways to ask that several rooms share."""

from typing import Any

import httpx

from tests.e2e.shop import Shop, until


def post(http: httpx.Client, path: str, body: Any, **headers: str) -> httpx.Response:
    """POST with headers whose dashes are underscores."""
    return http.post(path, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def prepared(shop: Shop, number: str) -> dict[str, Any]:
    """The order once all of it is in preparation: nothing more happens to it by itself."""

    def found() -> dict[str, Any] | None:
        order = shop.order(number)
        states = {item["state"] for section in order["sections"] for item in section["items"]}
        return order if states == {"preparing"} else None

    return until(f"{number} is in preparation", found)
