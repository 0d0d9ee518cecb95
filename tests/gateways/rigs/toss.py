"""Toss Payments under the laws: the sandbox's personality of it, asked again when "not found" has become final."""

import dataclasses
from datetime import UTC, datetime, timedelta

from typing_extensions import override

from domain.gateway import Call, OperationKind
from gateways.catalog import build_gateway
from gateways.gateway import Account
from gateways.toss.wire import KST
from tests.gateways.rig import KEY, NEUTRALIZE, OK, REFUND, SandboxRig, SandboxServer

ACCOUNT = "toss-a"
CUSTOMER = "customer-of-the-laws"
_LONG_ENOUGH = timedelta(minutes=2)


class TossRig(SandboxRig):
    """A neutralisation at Toss is a look and a cancel: the cancel is what can be broken."""

    zone = KST
    key_of_body = True
    states = frozenset({"status", "cancelStatus"})
    unchecked = frozenset({("KRW", 10**9 + 1)})

    @override
    def settings(self) -> Account:
        return an_account(self._server, self.account)

    @override
    def arm(self, fault: str, kind: OperationKind, *, times: int = 1, ms: int = 3000) -> None:
        super().arm(fault, REFUND if kind is NEUTRALIZE else kind, times=times, ms=ms)

    @override
    def charge(self, amount: int = 10_000, *, token: str = OK, capture_now: bool = True) -> Call:
        """A billing key is charged for its customer."""
        return dataclasses.replace(super().charge(amount, token=token, capture_now=capture_now), customer=CUSTOMER)

    @override
    def about(self, call: Call, kind: OperationKind) -> Call:
        return dataclasses.replace(super().about(call, kind), subject_sent_at=datetime.now(UTC) - _LONG_ENOUGH)


def an_account(server: SandboxServer, name: str = ACCOUNT) -> Account:
    """An account of its own at the sandbox's Toss Payments."""
    return Account(name, f"{server.url}/toss/{name}", KEY)


def toss_rig(server: SandboxServer, account: str = ACCOUNT) -> SandboxRig:
    """For ``RIGS``."""
    return TossRig(build_gateway("toss", an_account(server, account)), server, account)
