"""What customers do at the PGs' pages, so that every flow that is declared can be gone through to its end."""

import dataclasses
import re
from enum import StrEnum

import httpx

from domain.gateway import Answer, Call, Flow, Outcome
from domain.payment import INTERNAL_METHODS
from tests.e2e.window import BACK, NICE, SANDBOX, STRIPE, TOSS, Window
from tests.gateways.rig import LOOKUP, OK, Rig, SandboxRig, succeeded

_WINDOWS = {
    "adyen": Window("", {"action": "pay"}, {"action": "decline"}),
    "nice": NICE,
    "sandbox": SANDBOX,
    "stripe": STRIPE,
    "toss": TOSS,
}
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Way(StrEnum):
    """How a call asks for money. A window and a hosted page are one: no token, and an address to come back to."""

    TOKEN = "token"
    PAGE = "page"
    DEPOSIT = "deposit"
    OWN_VALUE = "own_value"


FLOWS = {
    Way.TOKEN: frozenset({Flow.SERVER_TOKEN}),
    Way.PAGE: frozenset({Flow.REDIRECT_CONFIRM, Flow.HOSTED_SESSION}),
    Way.DEPOSIT: frozenset({Flow.VIRTUAL_ACCOUNT}),
    Way.OWN_VALUE: frozenset({Flow.INTERNAL_VALUE}),
}
"""Either of these declares it."""


def asked_by(rig: Rig, way: Way) -> Call:
    """A charge that can be paid in this way alone."""
    charge = dataclasses.replace(rig.charge(), return_url=BACK)
    match way:
        case Way.TOKEN:
            return dataclasses.replace(charge, method="card", token=OK)
        case Way.PAGE:
            return dataclasses.replace(charge, method="card", token=None)
        case Way.DEPOSIT:
            return dataclasses.replace(charge, method="virtual_account", token=None)
        case Way.OWN_VALUE if charge.method in INTERNAL_METHODS:
            return charge
        case Way.OWN_VALUE:
            return dataclasses.replace(charge, method="points", token=None)


async def paid_by(rig: Rig, way: Way) -> tuple[Call, Answer]:
    """A payment of 10 000 in this way, with all that its customer does, and how it stands in the end."""
    call = asked_by(rig, way)
    if way in {Way.TOKEN, Way.OWN_VALUE}:
        return call, await succeeded(rig, call)
    assert isinstance(rig, SandboxRig)
    await rig.gateway.perform(rig.charge(token="tok_declined"))  # NICE's window knows whoever has paid there before.
    answer = await rig.gateway.perform(call)
    assert (answer.outcome, rig.money(call).net) == (Outcome.ACTION_REQUIRED, 0)
    if answer.action is not None and answer.action.kind == "redirect":
        call = _back_from_the_window(rig, call, answer)
        answer = await rig.gateway.perform(call)
    if way is Way.DEPOSIT:
        assert answer.action is not None
        assert (answer.action.kind, rig.money(call).net) == ("deposit", 0)
        bank = f"{rig.settings().url}/deposit/{answer.reference}"
        async with httpx.AsyncClient(trust_env=False) as browser:
            (await browser.post(bank, data={"action": "deposit"})).raise_for_status()
    return call, await succeeded(rig, rig.about(call, LOOKUP))


def _back_from_the_window(rig: Rig, call: Call, answer: Answer) -> Call:
    window: Window = _WINDOWS[rig.gateway.vendor]
    assert answer.action is not None
    assert answer.action.url is not None
    brought = window.decided(answer.action.url, window.approve)
    details = {_CAMEL.sub("_", name).lower(): value for name, value in brought.items()}
    return dataclasses.replace(call, reference=answer.reference, details=details)
