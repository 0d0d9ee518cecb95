"""The sandbox PG as a process: its ledger outlives it, its faults are exact, its keys are checked."""

import contextlib
import json
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.gateways.rig import ACCOUNT, KEY, SandboxServer, a_payment, eventually, post

Start = Callable[..., SandboxServer]


def test_the_ledger_and_the_answers_survive_kill_9(start: Start) -> None:
    server = start("--pending-ms", "300")
    body, key = a_payment(capture=False), uuid4().hex
    first = post(server, "/payments", body, **{"Idempotency-Key": key}).json()
    waiting = a_payment(token="tok_pending")
    assert post(server, "/payments", waiting).status_code == 202
    before = server.ledger()
    server.kill()
    server.restart()
    assert server.ledger()["operations"][:2] == before["operations"][:2]
    again = post(server, "/payments", body, **{"Idempotency-Key": key})
    assert (again.json(), again.headers["idempotent-replayed"]) == (first, "true")
    settled = eventually(
        lambda: server.ledger(merchant_ref=waiting["merchant_ref"]), lambda seen: any(seen["net"].values())
    )
    assert list(settled["net"].values()) == [1000]
    server.stop()


def test_sigterm_does_not_wait_for_a_slow_answer(start: Start) -> None:
    server = start()
    server.arm("delay", "authorize", ms=60_000)
    statuses: list[int] = []

    def pay() -> None:
        headers = {"Authorization": "Bearer k", "Idempotency-Key": uuid4().hex}
        with httpx.Client(base_url=server.url, trust_env=False) as client, contextlib.suppress(httpx.TransportError):
            statuses.append(client.post(f"/{ACCOUNT}/v1/payments", json=a_payment(), headers=headers).status_code)

    waiting = threading.Thread(target=pay)
    waiting.start()
    eventually(lambda: server.ledger()["operations"], bool)
    began = time.monotonic()
    server.stop()
    waiting.join()
    assert time.monotonic() - began < 30, "half of what the answer takes"
    assert 201 not in statuses


def test_every_payment_answered_before_kill_9_is_in_the_ledger(start: Start) -> None:
    server = start()
    answered: list[str] = []

    def pay() -> None:
        with httpx.Client(base_url=server.url, trust_env=False) as client:
            while True:
                body = a_payment()
                headers = {"Authorization": "Bearer k", "Idempotency-Key": uuid4().hex}
                try:
                    response = client.post(f"/{ACCOUNT}/v1/payments", json=body, headers=headers)
                except httpx.TransportError:
                    return
                if response.status_code == 201:
                    answered.append(body["merchant_ref"])

    threads = [threading.Thread(target=pay) for _ in range(4)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(answered), lambda count: count > 100)
    server.kill()
    for thread in threads:
        thread.join()
    server.restart()
    kept = {row["merchant_ref"] for row in server.ledger()["operations"]}
    assert len(answered) > 100
    assert set(answered) <= kept


def test_the_ledger_can_only_grow(start: Start, tmp_path: Path) -> None:
    server = start()
    post(server, "/payments", a_payment())
    connection = sqlite3.connect(tmp_path / "sandbox.sqlite3")
    for statement in ("UPDATE ledger SET amount = 1", "DELETE FROM ledger"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
    connection.close()


def test_the_ledger_is_read_whole_or_in_pages(start: Start) -> None:
    server = start()
    payments = [post(server, "/payments", a_payment()).json()["payment"]["reference"] for _ in range(5)]
    post(server, f"/payments/{payments[0]}/refunds", {"amount": 400, "currency": "KRW"})
    whole = server.ledger()
    names = [
        "account",
        "merchant_ref",
        "reference",
        "operation",
        "operation_id",
        "amount",
        "currency",
        "status",
        "idempotency_key",
        "at",
    ]
    assert list(whole["operations"][0]) == names
    assert (len(whole["operations"]), whole["next"]) == (11, None)
    assert whole["net"] == {payments[0]: 600, **dict.fromkeys(payments[1:], 1000)}
    paged, cursor = [], None
    for _ in range(4):
        page = server.ledger(limit=3, **({} if cursor is None else {"cursor": cursor}))
        assert all(whole["net"][reference] == net for reference, net in page["net"].items())
        paged += page["operations"]
        cursor = page["next"]
    assert (paged, cursor) == (whole["operations"], None)
    assert server.ledger(account="sandbox-z") == {"operations": [], "net": {}, "held": {}, "next": None}


def test_faults_fire_in_the_order_in_which_they_were_armed(sandbox: SandboxServer) -> None:
    sandbox.http.delete("/_faults")
    sandbox.arm("500_after", "charge", times=2, account=ACCOUNT)
    sandbox.arm("refuse", account=ACCOUNT)
    bodies = [a_payment() for _ in range(4)]
    assert [post(sandbox, "/payments", body).status_code for body in bodies] == [500, 500, 429, 201]
    book = sandbox.http.get("/_faults").json()
    fired = [one for one in book["fired"] if one["account"] == ACCOUNT][-3:]
    assert book["armed"] == []
    assert [one["fault"] for one in fired] == ["500_after", "500_after", "refuse"]
    assert [entry["operation"] for entry in fired[0]["effect"]] == ["authorize", "capture"]
    assert fired[2]["effect"] == []
    sandbox.arm("refuse", times=3, account="nobody")
    assert sandbox.http.delete("/_faults").json() == {"disarmed": 1}


def test_a_dropped_connection_is_really_cut(sandbox: SandboxServer) -> None:
    for fault in ("drop_before", "drop_after"):
        sandbox.arm(fault, account=ACCOUNT)
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            post(sandbox, "/payments", a_payment())
    assert post(sandbox, "/payments", a_payment()).status_code == 201


def test_a_customer_approves_or_declines_on_the_page_and_only_once(sandbox: SandboxServer) -> None:
    for action, status, net in (("approve", "captured", 1000), ("decline", "declined", 0)):
        body = a_payment(token="tok_3ds")
        opened = post(sandbox, "/payments", body)
        assert opened.status_code == 202
        url = opened.json()["payment"]["next_action"]["url"]
        assert "Approve" in sandbox.http.get(url).text
        assert sandbox.http.post(url, data={"action": "rob"}).status_code == 422
        assert status in sandbox.http.post(url, data={"action": action}).text
        assert status in sandbox.http.post(url, data={"action": "approve"}).text
        assert list(sandbox.ledger(merchant_ref=body["merchant_ref"])["net"].values()) == [net]
    assert sandbox.http.get(f"/{ACCOUNT}/3ds/pay_nothing").status_code == 404


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--port", "0", "--data", "x"], "port"),
        (["--port", "http", "--data", "x"], "port"),
        (["--port", "8420"], "--data"),
        (["--data", "x", "--keys", "{"], "JSON"),
        (["--data", "x", "--keys", '{"a": 1}'], "keys"),
        (["--data", "/dev/null/x"], "folder"),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(arguments: list[str], word: str) -> None:
    command = [sys.executable, "-m", "gateways.sandbox", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode in {1, 2}
    assert done.stderr.count("\n") == 1
    assert word in done.stderr


def test_two_servers_never_share_a_folder(start: Start, tmp_path: Path) -> None:
    start()
    command = [sys.executable, "-m", "gateways.sandbox", "--port", "1", "--data", str(tmp_path)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (second.returncode, second.stderr.count("\n")) == (1, 1)


def test_configured_keys_are_checked(start: Start) -> None:
    server = start("--keys", json.dumps({ACCOUNT: KEY}))
    assert post(server, "/payments", a_payment()).status_code == 201
    for wrong in ("Bearer other", "Bearer", "Basic x"):
        refused = post(server, "/payments", a_payment(), Authorization=wrong)
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "unauthorized")
    other = server.http.post("/sandbox-a/v1/payments", headers={"Authorization": f"Bearer {KEY}"})
    assert other.status_code == 401
