"""The only builder: settings become a database, a Temporal client and PG accounts, in every process the same way."""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from gateways.catalog import build_gateway
from gateways.gateway import Gateway
from models.database import Database
from wiring.settings import Settings

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Resources:
    """What a process works with."""

    settings: Settings
    database: Database
    client: Client

    async def close(self) -> None:
        """Give the connections back."""
        await self.database.close()


async def connect_temporal(settings: Settings, *, role: str) -> Client:
    """Temporal's client; connects on first use, so that a process may start before Temporal does."""
    return await Client.connect(
        settings.temporal_address,
        namespace=settings.temporal_namespace,
        data_converter=pydantic_data_converter,
        identity=f"opms-{role}",
        lazy=True,
    )


async def open_resources(settings: Settings, *, role: str) -> Resources:
    """Everything that a face or a worker needs beside the PGs."""
    database = Database(settings.database_url, size=settings.database_pool_size, application=f"opms-{role}")
    return Resources(settings, database, await connect_temporal(settings, role=role))


def open_gateways(settings: Settings) -> Mapping[str, Gateway]:
    """Every PG account of the settings, by name. Raises `MisconfiguredGateway` for an unknown vendor."""
    return {
        account: build_gateway(account, given.vendor, given.url, given.key.get_secret_value())
        for account, given in settings.gateways.items()
    }
