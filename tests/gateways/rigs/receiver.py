"""A shop's end of a PG's webhooks: what came, word for word, and the verified events."""

import http.server
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from typing_extensions import override

from gateways.gateway import WebhookBatch, WebhookEvent, WebhookRefused

Parse = Callable[[bytes, Mapping[str, str]], WebhookBatch]


@dataclass(frozen=True, slots=True)
class Letter:
    """One delivery as it came."""

    raw: bytes
    headers: Mapping[str, str]


class HeardEvents:
    """Verified events, kept as `gateways.adyen.adapter.VerifiedEvents` wants them."""

    def __init__(self, events: Sequence[WebhookEvent] = ()) -> None:
        self._lock = threading.Lock()
        self._events: dict[str, WebhookEvent] = {event.event_id: event for event in events}

    def add(self, batch: WebhookBatch) -> None:
        """Each event once."""
        with self._lock:
            self._events |= {event.event_id: event for event in batch.events}

    async def of(self, merchant_ref: str) -> Sequence[WebhookEvent]:
        return [event for event in self.all() if event.merchant_ref == merchant_ref]

    async def reports(self, day: date) -> Sequence[WebhookEvent]:
        reports = [event for event in self.all() if event.kind == "REPORT_AVAILABLE" and event.occurred_at]
        return [event for event in reports if event.occurred_at and event.occurred_at.date() == day]

    def all(self) -> list[WebhookEvent]:
        """In the order in which they came first."""
        with self._lock:
            return list(self._events.values())


class Receiver:
    """A real HTTP endpoint for webhooks: verified with ``parse``, acknowledged as the batch says, else 401."""

    def __init__(self, parse: Parse, heard: HeardEvents) -> None:
        self.letters: list[Letter] = []
        receiver = self

        class Endpoint(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                headers = dict(self.headers)
                receiver.letters.append(Letter(raw, headers))
                try:
                    batch = parse(raw, headers)
                except WebhookRefused:
                    status, body, kind = 401, b"", "text/plain"
                else:
                    heard.add(batch)
                    status, body, kind = batch.ack_status, batch.ack_body, batch.ack_content_type
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            @override
            def log_message(self, *_: Any) -> None:
                return

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/webhooks"

    @property
    def bodies(self) -> list[bytes]:
        """Of every delivery, repetitions included."""
        return [letter.raw for letter in list(self.letters)]

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
