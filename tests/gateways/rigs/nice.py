"""NICE under the laws: the sandbox's NICE personality, and the vendor's own account of when a payment was sent."""

import dataclasses
from datetime import UTC, datetime, timedelta

from typing_extensions import override

from domain.gateway import Call, OperationKind
from gateways.catalog import build_gateway
from gateways.gateway import Account
from gateways.nice.wire import KOREA
from tests.gateways.rig import KEY, REFUND, SandboxRig, SandboxServer

ACCOUNT = "nice-a"
CLIENT_KEY = "client-key-of-the-laws"
_LONG_ENOUGH = timedelta(minutes=2)


class NiceRig(SandboxRig):
    """NICE's net cancel finds nothing while a payment is on its way: the laws neutralise some minutes later."""

    zone = KOREA
    listed = frozenset({REFUND})

    @override
    def settings(self) -> Account:
        return an_account(self._server, self.account)

    @override
    def about(self, call: Call, kind: OperationKind) -> Call:
        return dataclasses.replace(super().about(call, kind), subject_sent_at=datetime.now(UTC) - _LONG_ENOUGH)


def an_account(server: SandboxServer, name: str = ACCOUNT) -> Account:
    """An account of its own at the sandbox's NICE."""
    return Account(name, f"{server.url}/nice/{name}", KEY, merchant=CLIENT_KEY)


def nice_rig(server: SandboxServer, account: str = ACCOUNT) -> SandboxRig:
    """For ``RIGS``."""
    return NiceRig(build_gateway("nice", an_account(server, account)), server, account)
