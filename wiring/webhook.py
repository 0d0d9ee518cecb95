"""What PGs have signed, as an adapter without a lookup of its own reads it back."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import date

from gateways.adyen.webhook import REPORT_AVAILABLE
from gateways.gateway import WebhookEvent
from models.database import Database
from queries.webhook import VerifiedEvent, verified_events, verified_events_of_day


class StoredEvents:
    """The signed events of one account, out of our database."""

    def __init__(self, database: Database, account: str) -> None:
        self._database = database
        self._account = account

    async def of(self, merchant_ref: str) -> tuple[WebhookEvent, ...]:
        """All that name ``merchant_ref``, each once, in the order in which they came."""
        async with self._database.reading() as connection:
            return _as_read(await verified_events(connection, self._account, merchant_ref))

    async def reports(self, day: date) -> tuple[WebhookEvent, ...]:
        """Those that say that a report is there, and occurred on ``day`` by their own offset."""
        async with self._database.reading() as connection:
            return _as_read(await verified_events_of_day(connection, self._account, REPORT_AVAILABLE, day))


def _as_read(events: Iterable[VerifiedEvent]) -> tuple[WebhookEvent, ...]:
    return tuple(WebhookEvent(**asdict(event)) for event in events)
