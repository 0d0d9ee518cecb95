"""What PGs have signed or settled, as an adapter without a lookup of its own reads it back."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import date

from domain.gateway import Outcome
from gateways.adyen.evidence import SETTLED
from gateways.adyen.webhook import REPORT_AVAILABLE
from gateways.gateway import WebhookEvent
from models.database import Database
from queries.settlement import Settled, settled_in_doubt
from queries.webhook import VerifiedEvent, verified_events, verified_events_of_day


class StoredEvents:
    """The signed events of one account, and its settlement lines about what is in doubt, out of our database."""

    def __init__(self, database: Database, account: str) -> None:
        self._database = database
        self._account = account

    async def of(self, merchant_ref: str) -> tuple[WebhookEvent, ...]:
        """All that name ``merchant_ref``, each once, in the order in which they came; then what its lines prove."""
        async with self._database.reading() as connection:
            signed = await verified_events(connection, self._account, merchant_ref)
            settled = await settled_in_doubt(connection, self._account, merchant_ref)
        return (*_as_read(signed), *(_as_event(each, merchant_ref) for each in settled))

    async def reports(self, day: date) -> tuple[WebhookEvent, ...]:
        """Those that say that a report is there, and occurred on ``day`` by their own offset."""
        async with self._database.reading() as connection:
            return _as_read(await verified_events_of_day(connection, self._account, REPORT_AVAILABLE, day))


def _as_event(settled: Settled, merchant_ref: str) -> WebhookEvent:
    return WebhookEvent(
        f"settlement-line-{settled.line}",
        SETTLED[settled.kind],
        settled.reference,
        merchant_ref,
        settled.occurred_at,
        outcome=Outcome.SUCCEEDED,
        amount=settled.amount,
        currency=settled.currency,
        operation_ref=settled.operation_ref,
    )


def _as_read(events: Iterable[VerifiedEvent]) -> tuple[WebhookEvent, ...]:
    return tuple(WebhookEvent(**asdict(event)) for event in events)
