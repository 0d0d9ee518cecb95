"""Whether an order's workflow exists: what a checkout that was not answered in time may be told."""

from datetime import timedelta

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from domain.number import order_workflow_id

ASK_TIMEOUT = timedelta(seconds=5)
"""For one that answers nothing: who asks has already waited as long as he wanted to."""


async def is_started(client: Client, store: str, number: str) -> bool:
    """Temporal has durably accepted the order. Temporal out of reach raises its `RPCError`."""
    try:
        _ = await client.get_workflow_handle(order_workflow_id(store, number)).describe(rpc_timeout=ASK_TIMEOUT)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True
