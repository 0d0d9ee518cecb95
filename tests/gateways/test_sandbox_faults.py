"""How the sandbox PG goes wrong: cut answers, faults by header and by lot, and the log of what has fired."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from gateways.sandbox.server.fault import FaultKind, Moment
from gateways.sandbox.server.plan import SeededPlan
from tests.gateways.rig import ACCOUNT, KEY, SandboxServer, a_payment, eventually, post
from tests.gateways.rigs.stripe import Merchant, a_card_payment
from tests.gateways.rigs.struck import PAYING, fired, kept, pay_at_sandbox

Start = Callable[..., SandboxServer]
GUIDE = Path(__file__).resolve().parents[2] / "docs/guides/place-an-order.md"


@pytest.fixture(autouse=True)
def no_faults(sandbox: SandboxServer) -> Iterator[None]:
    """No test sees another's faults."""
    sandbox.http.delete("/_faults").raise_for_status()
    yield
    sandbox.http.delete("/_faults").raise_for_status()


# Truncated answers.


def pay_at_nice(server: SandboxServer, account: str, **headers: str) -> httpx.Response:
    """In EUC-KR, which the answer is put into at last."""
    path = f"/nice/{account}/v1/payments/netcancel"
    body = {"orderId": uuid4().hex, "returnCharSet": "euc-kr"}
    return server.http.post(path, json=body, auth=("client-key-of-the-laws", KEY), headers=headers)


@pytest.mark.parametrize("vendor", PAYING)
def test_a_truncated_answer_breaks_off_after_the_effect(sandbox: SandboxServer, vendor: str) -> None:
    account = f"cut-{uuid4().hex[:8]}"
    with pytest.raises(httpx.RemoteProtocolError, match="peer closed connection"):
        PAYING[vendor](sandbox, account, **{"Sandbox-Fault": "truncated"})
    assert len(kept(sandbox, account)) == 1
    assert [entry["operation"] for entry in fired(sandbox)[-1]["effect"]] == ["authorize", "capture"]
    assert PAYING[vendor](sandbox, account).is_success


def test_an_answer_in_another_charset_is_truncated_too(sandbox: SandboxServer) -> None:
    account = f"cut-{uuid4().hex[:8]}"
    whole = pay_at_nice(sandbox, account)
    assert "거래" in whole.content.decode("euc-kr")
    assert whole.headers["content-type"] == "application/json;charset=euc-kr"
    with pytest.raises(httpx.RemoteProtocolError):
        pay_at_nice(sandbox, account, **{"Sandbox-Fault": "truncated"})


# Faults by header.


def test_a_request_names_its_own_fault_and_leaves_the_armed_ones(sandbox: SandboxServer) -> None:
    account = f"named-{uuid4().hex[:8]}"
    sandbox.arm("refuse", account=account)
    [armed] = sandbox.http.get("/_faults").json()["armed"]
    named = {"refuse": 429, "500_before": 500, "500_after": 500, "wrong_amount": 201, "garbage": 200}
    for fault, status in named.items():
        assert pay_at_sandbox(sandbox, account, **{"Sandbox-Fault": fault}).status_code == status
        assert (fired(sandbox)[-1]["by"], fired(sandbox)[-1]["fault"]) == ("header", fault)
    assert len(kept(sandbox, account)) == 3
    assert pay_at_sandbox(sandbox, account).status_code == 429
    assert (fired(sandbox)[-1]["by"], fired(sandbox)[-1]["fault_id"]) == ("armed", armed["id"])
    assert pay_at_sandbox(sandbox, account).status_code == 201


def test_a_vendor_is_struck_by_the_header_too(sandbox: SandboxServer) -> None:
    merchant = Merchant(sandbox, f"named-{uuid4().hex[:8]}")
    struck = merchant.send("POST", "/payment_intents", a_card_payment(), **{"Sandbox-Fault": "500_before"})
    assert (struck.status_code, struck.json()["error"]["type"]) == (500, "api_error")
    assert kept(sandbox, merchant.account) == []
    began = time.monotonic()
    merchant.send("POST", "/payment_intents", a_card_payment(), **{"Sandbox-Fault": "delay; ms=200"})
    assert time.monotonic() - began >= 0.2
    assert fired(sandbox)[-1]["ms"] == 200


@pytest.mark.parametrize("value", ["", "rob", "delay; ms=", "delay; ms=-1", "delay; ms=600001", "delay, refuse"])
def test_a_header_that_names_no_fault_is_refused_and_nothing_happens(sandbox: SandboxServer, value: str) -> None:
    account = f"named-{uuid4().hex[:8]}"
    for pay in PAYING.values():
        refused = pay(sandbox, account, **{"Sandbox-Fault": value})
        assert refused.status_code == 400
        assert refused.json()["error"]["code"] == "invalid_field"
    assert kept(sandbox, account) == []


# Faults by lot.

CHANCES = {"refuse": 0.2, "500_after": 0.2, "drop_before": 0.1, "truncated": 0.1, "wrong_amount": 0.1}


def follow(server: SandboxServer, seed: int, **more: Any) -> None:
    body = {"seed": seed, "probabilities": CHANCES, **more}
    assert server.http.post("/_faults", json=body).status_code == 201


def struck_by(server: SandboxServer, account: str, vendor: str, *, beside: str | None = None) -> list[str]:
    """What strikes thirty payments of ``account``, each after one of an account ``beside``."""
    before = len(fired(server))
    for _ in range(30):
        for payer in (account,) if beside is None else (beside, account):
            with contextlib.suppress(httpx.TransportError):
                PAYING[vendor](server, payer)
    return [one["fault"] for one in fired(server)[before:] if one["account"] == account]


@pytest.mark.parametrize("vendor", PAYING)
def test_the_same_seed_and_the_same_calls_give_the_same_faults(sandbox: SandboxServer, vendor: str) -> None:
    account = f"lot-{vendor}"
    follow(sandbox, 7)
    first = struck_by(sandbox, account, vendor)
    assert len(set(first) & set(CHANCES)) >= 4
    follow(sandbox, 7)
    assert struck_by(sandbox, account, vendor, beside="lot-other") == first
    follow(sandbox, 8)
    assert struck_by(sandbox, account, vendor) != first


def test_what_other_operations_draw_changes_nothing() -> None:
    def plan() -> SeededPlan:
        return SeededPlan(7, {FaultKind.REFUSE: 0.5}, account=None, operation=None, ms=0)

    alone, among = plan(), plan()
    wanted = [alone.draw("a", "capture", Moment.REQUEST) for _ in range(50)]
    seen = []
    for _ in range(50):
        among.draw("a", "refund", Moment.REQUEST)
        among.draw("a", "capture", Moment.EVENT)
        seen.append(among.draw("a", "capture", Moment.REQUEST))
    assert seen == wanted
    assert set(wanted) == {None, FaultKind.REFUSE}


def test_a_plan_is_shown_keeps_to_its_scope_and_ends(sandbox: SandboxServer) -> None:
    mine, other = f"lot-{uuid4().hex[:8]}", f"lot-{uuid4().hex[:8]}"
    body = {"seed": 1, "probabilities": {"refuse": 1}, "account": mine, "operation": "charge", "ms": 5}
    answer = sandbox.http.post("/_faults", json=body)
    shown = {"seed": 1, "probabilities": {"refuse": 1.0}, "account": mine, "operation": "authorize", "ms": 5}
    assert (answer.status_code, answer.json()) == (201, {**shown, "drawn": 0})
    assert pay_at_sandbox(sandbox, other).status_code == 201
    assert pay_at_sandbox(sandbox, mine).status_code == 429
    assert sandbox.http.get("/_faults").json()["plan"] == {**shown, "drawn": 1}
    assert (fired(sandbox)[-1]["by"], fired(sandbox)[-1]["fault_id"]) == ("plan", None)
    sandbox.arm("500_before", account=mine)
    assert pay_at_sandbox(sandbox, mine).status_code == 500, "what is armed comes first"
    assert sandbox.http.delete("/_faults").json() == {"disarmed": 1}
    assert sandbox.http.get("/_faults").json()["plan"] is None
    assert pay_at_sandbox(sandbox, mine).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        {"seed": 1},
        {"probabilities": {"refuse": 1}},
        {"seed": -1, "probabilities": {"refuse": 1}},
        {"seed": 1, "probabilities": {}},
        {"seed": 1, "probabilities": {"rob": 1}},
        {"seed": 1, "probabilities": {"refuse": 1.1}},
        {"seed": 1, "probabilities": {"refuse": True}},
        {"seed": 1, "probabilities": {"refuse": 0.6, "delay": 0.6}},
        {"seed": 1, "probabilities": {"refuse": 1}, "ms": -1},
        {"seed": 1, "probabilities": {"refuse": 1}, "fault": "refuse"},
        {"fault": "delay", "ms": -1},
        {"fault": "rob"},
    ],
)
def test_what_is_no_fault_and_no_plan_is_refused(sandbox: SandboxServer, body: dict[str, Any]) -> None:
    assert sandbox.http.post("/_faults", json=body).status_code == 400
    seen = sandbox.http.get("/_faults").json()
    assert (seen["armed"], seen["plan"]) == ([], None)


def test_chances_of_requests_and_of_events_are_summed_up_apart(sandbox: SandboxServer) -> None:
    body = {"seed": 1, "probabilities": {"refuse": 0.9, "webhook_never": 0.9}}
    assert sandbox.http.post("/_faults", json=body).status_code == 201


# The log.

BEFORE = ("refuse", "drop_before", "500_before")
CUT = ("drop_before", "drop_after", "truncated")
AFTER = ("drop_after", "500_after", "garbage", "truncated", "wrong_amount", "delay", "clock_skew")


@pytest.mark.parametrize("fault", [*BEFORE, *AFTER])
@pytest.mark.parametrize("vendor", PAYING)
def test_every_fault_is_logged_with_its_effect_in_the_ledger(sandbox: SandboxServer, vendor: str, fault: str) -> None:
    account = f"log-{uuid4().hex[:8]}"
    sandbox.arm(fault, "authorize", account=account, ms=1)
    cut = pytest.raises(httpx.RemoteProtocolError) if fault in CUT else contextlib.nullcontext()
    with cut:
        PAYING[vendor](sandbox, account)
    logged = fired(sandbox)[-1]
    assert (logged["fault"], logged["account"], logged["operation"]) == (fault, account, "authorize")
    rows = sandbox.ledger(account=account)["operations"]
    names = ("operation", "amount", "status", "reference")
    assert logged["effect"] == [{name: row[name] for name in names} for row in rows]
    assert bool(rows) is (fault in AFTER)


def test_the_effect_in_the_log_is_of_the_struck_request_alone(start: Start) -> None:
    server = start("--pending-ms", "100")
    server.arm("500_after", account=ACCOUNT)
    body = a_payment(token="tok_pending")
    assert post(server, "/payments", body).status_code == 500
    eventually(lambda: kept(server, ACCOUNT), lambda net: net == [1000])
    assert [(entry["operation"], entry["status"]) for entry in fired(server)[0]["effect"]] == [("authorize", "pending")]


def test_the_guide_names_every_fault() -> None:
    text = GUIDE.read_text()
    assert [kind.value for kind in FaultKind if f"`{kind.value}`" not in text] == []
