"""The only builder: settings become a database, a Temporal client and PG accounts, in every process the same way."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog
from temporalio.client import Client

from domain.reconciliation import Fee, Terms
from gateways.catalog import build_gateway
from gateways.gateway import Account, Gateway
from models.database import Database
from wiring.converter import data_converter
from wiring.settings import Settings
from wiring.webhook import StoredEvents

log = structlog.get_logger()

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds between tries to reach Temporal."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What a process works with."""

    settings: Settings
    database: Database
    client: Client
    gateways: Mapping[str, Gateway] = field(default_factory=dict)
    """PG accounts by name, for the server, which reads their webhooks; workers are given theirs apart."""

    async def close(self) -> None:
        """Give the connections back."""
        await asyncio.gather(*(gateway.close() for gateway in self.gateways.values()))
        await self.database.close()


async def connect_temporal(settings: Settings, *, role: str, lazy: bool) -> Client:
    """Temporal's client. ``lazy`` connects on first use; else it is tried until Temporal is there."""
    pause = FIRST_PAUSE
    while True:
        try:
            return await Client.connect(
                settings.temporal_address,
                namespace=settings.temporal_namespace,
                data_converter=data_converter,
                identity=f"opms-{role}",
                lazy=lazy,
            )
        except RuntimeError as away:
            log.warning("temporal.unreachable", address=settings.temporal_address, reason=str(away), retry_in=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)


async def open_resources(
    settings: Settings, *, role: str, lazy: bool = False, gateways: Mapping[str, Gateway] | None = None
) -> Resources:
    """Everything that a face (``lazy``: it starts and answers 503 without Temporal) or a worker needs.

    ``gateways`` are closed with the resources; a worker opens and closes its own.
    """
    database = Database(settings.database_url, size=settings.database_pool_size, application=f"opms-{role}")
    return Resources(settings, database, await connect_temporal(settings, role=role, lazy=lazy), gateways or {})


def open_gateways(settings: Settings, database: Database | None = None) -> Mapping[str, Gateway]:
    """Every PG account of the settings, by name; nothing is sent yet. Raises `MisconfiguredGateway`: unknown vendor.

    With a ``database``, PGs that cannot be asked are answered for by what they have signed.
    """
    return {
        name: build_gateway(
            given.vendor,
            Account(
                name,
                given.url,
                given.key.get_secret_value(),
                given.webhook_secret.get_secret_value(),
                given.merchant,
                given.reports_tax,
            ),
            StoredEvents(database, name) if database is not None else None,
        )
        for name, given in settings.gateways.items()
    }


def settlement_terms(settings: Settings) -> Mapping[str, Terms]:
    """How each PG account of the settings settles."""
    return {
        name: Terms(
            given.timezone,
            given.settles_in_days,
            None if given.fee_basis_points is None else Fee(given.fee_basis_points, given.fee_fixed),
        )
        for name, given in settings.gateways.items()
    }
