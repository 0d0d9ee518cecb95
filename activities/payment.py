"""The one step that speaks to a PG. What it cannot prove it calls unknown; it never raises about money."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import structlog
from temporalio import activity
from typing_extensions import override

from contracts.payment import PaymentSteps
from contracts.queues import GATEWAY_CALL_TIMEOUT
from domain.gateway import Answer, Call, Evidence, OperationKind, Outcome
from gateways.gateway import Gateway, MisconfiguredGateway

log = structlog.get_logger()

ANSWER_WITHIN = GATEWAY_CALL_TIMEOUT - timedelta(seconds=2)
"""All requests of one call together: none may leave after the workflow has taken the call for lost."""


class PaymentActivities(PaymentSteps):
    """Calls PG accounts by name."""

    def __init__(self, gateways: Mapping[str, Gateway]) -> None:
        self._gateways = gateways

    @override
    @activity.defn
    async def call_gateway(self, call: Call) -> Answer:
        """One keyed call. Bad credentials: the call was not executed, a question not answered; a person must act."""
        if call.not_after is not None and datetime.now(UTC) >= call.not_after:
            log.warning("gateway.too_late", account=call.account, operation=call.kind.value, key=call.key)
            return Answer(Outcome.UNKNOWN, evidence=Evidence(detail="too late to be sent again safely; not sent"))
        try:
            async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
                answer = await self._gateways[call.account].perform(call)
        except TimeoutError:
            log.warning("gateway.took_too_long", account=call.account, operation=call.kind.value, key=call.key)
            return Answer(Outcome.UNKNOWN, evidence=Evidence(detail="no whole answer in time"))
        except MisconfiguredGateway as wrong:
            log.exception("gateway.misconfigured", account=call.account, operation=call.kind.value, reason=str(wrong))
            asking = call.kind in {OperationKind.LOOKUP, OperationKind.NEUTRALIZE}
            outcome = Outcome.UNKNOWN if asking else Outcome.NOT_EXECUTED
            return Answer(outcome, evidence=Evidence(detail=f"misconfigured: {wrong}"))
        log.info(
            "gateway.answered",
            account=call.account,
            operation=call.kind.value,
            merchant_ref=call.merchant_ref,
            outcome=answer.outcome.value,
        )
        return answer
