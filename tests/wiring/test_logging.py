"""Log lines are JSON, belong to their request, and hold no personal data."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from wiring.logging import configure_logging, redact, stop_logging


@pytest.fixture
def _logs_put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    stop_logging()
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.usefixtures("_logs_put_back")
def test_every_line_is_json_with_its_context_and_without_personal_data(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "orders")
    log = structlog.get_logger("test")
    with structlog.contextvars.bound_contextvars(request_id="r-1", order="S-1"):
        log.info(
            "refund.requested", refund="f-1", email="kim@example.com", to={"phone": "010", "lines": [{"line1": "x"}]}
        )
        log.debug("not.written")
        logging.getLogger("uvicorn.error").warning("started %s", "twice", extra={"api_key": "hunter2"})
    stop_logging()

    ours, theirs = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert ours.pop("at")
    assert ours == {
        "event": "refund.requested",
        "level": "info",
        "role": "orders",
        "request_id": "r-1",
        "order": "S-1",
        "refund": "f-1",
        "to": {"lines": [{}]},
    }
    assert (theirs["event"], theirs["logger"], theirs["request_id"]) == ("started twice", "uvicorn.error", "r-1")
    assert "hunter2" not in json.dumps(theirs)


@pytest.mark.parametrize(
    "key", ["Authorization", "X-API-Key", "customer_email", "shipping_address", "line2", "Set-Cookie"]
)
def test_a_key_is_personal_however_it_is_spelled(key: str) -> None:
    assert redact(None, "info", {"event": "x", key: "secret"}) == {"event": "x"}
