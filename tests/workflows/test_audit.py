"""The audit as an operator runs it: silent agreement, each side bent in turn, and a side that does not answer."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from cli.comparison import Money
from contracts.command import RefundMoney
from domain.gateway import OperationKind
from tests.stack import STORE, Ground, Shop, a_checkout, open_shop
from tests.workflows.test_commands import deliver_all


@pytest.fixture(scope="module")
async def own(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """A system of its own: what these tests bend, no other test may see."""
    ground = Ground(tmp_path_factory.mktemp("audited"))
    await ground.start()
    async with open_shop(ground, "audited", graceful_shutdown_timeout=timedelta(seconds=1)) as shop:
        yield shop
    await ground.stop()


async def audit(shop: Shop, **changed: str) -> tuple[int, str]:
    """Exit code and output of `python -m cli audit`."""
    settings = shop.resources.settings
    gateways = ",".join(
        f'"{name}": {{"vendor": "sandbox", "url": "{one.url}", "key": "secret"}}'
        for name, one in settings.gateways.items()
    )
    environment = {
        "OPMS_DATABASE_URL": settings.database_url,
        "OPMS_TEMPORAL_ADDRESS": settings.temporal_address,
        "OPMS_GATEWAYS": f"{{{gateways}}}",
        "COLUMNS": "160",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli",
        "audit",
        env=os.environ | environment | changed,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


@pytest.mark.parametrize(
    ("ours", "theirs", "agrees"),
    [
        (Money(900, 100, 0), Money(900, 100, 0), True),
        (Money(900), Money(1800, 900, 0), True),
        (Money(), Money(900, 900, 0), True),
        (Money(900), Money(900, 900, 0), False),
        (Money(900), Money(1800, 800, 0), False),
        (Money(900), Money(1800, 900, 10), False),
        (Money(1800, 900), Money(900), False),
    ],
)
def test_what_a_pg_took_gave_back_and_took_again_is_no_difference_and_all_else_is(
    ours: Money, theirs: Money, agrees: bool
) -> None:
    assert ours.is_met_by(theirs) is agrees


async def test_all_sides_agree_about_orders_in_every_stage(own: Shop) -> None:
    await own.placed()
    await own.checkout(a_checkout(token="tok_lost"))
    delivered = await own.placed()
    await deliver_all(own, delivered)
    await own.applied(delivered, RefundMoney("stain", amount=900))
    await own.becomes(delivered, "it is refunded", lambda o: o.refunded == 900)
    code, output = await audit(own)
    assert code == 0, output
    assert "agree" in output
    assert "differ" not in output


@pytest.mark.parametrize(
    ("variable", "value", "unasked"),
    [
        ("OPMS_TEMPORAL_ADDRESS", "127.0.0.1:1", "Temporal does not answer"),
        (
            "OPMS_GATEWAYS",
            '{"sandbox-a": {"vendor": "sandbox", "url": "http://127.0.0.1:1", "key": "secret"}}',
            "our books and the ledger of sandbox-a: the PG's ledger cannot be read",
        ),
    ],
)
async def test_one_side_that_does_not_answer_keeps_no_other_from_being_compared(
    own: Shop, variable: str, value: str, unasked: str
) -> None:
    code, output = await audit(own, **{variable: value})
    assert code == 2, output
    assert unasked in output
    assert "agrees" in output


@pytest.mark.parametrize(
    ("table", "change", "told"),
    [
        ("orders", "refunded = refunded + :n", "its payments add up to"),
        ("payment", "captured = captured - :n", "its operations add up to"),
        ("allocation", "captured = captured - :n", "its sections have"),
        ("orders", "version = version + :n, requires_review = (:n = 1)", "its stored statuses are not"),
    ],
)
async def test_a_sum_that_is_bent_is_told_with_the_orders_number(own: Shop, table: str, change: str, told: str) -> None:
    number = await own.placed()
    of_order = "(SELECT id FROM orders WHERE number = :number)"
    one = (
        "number = :number"
        if table == "orders"
        else f"id = (SELECT id FROM {table} WHERE order_id = {of_order} ORDER BY id LIMIT 1)"
    )
    for n, expected in ((1, 1), (-1, 0)):
        await own.sql(f"UPDATE {table} SET {change} WHERE {one}", n=n, number=number)
        code, output = await audit(own)
        assert code == expected, output
        assert any(line.startswith(number) and told in line for line in output.splitlines()) is (n == 1), output


async def test_stock_that_nobody_holds_is_told(own: Shop) -> None:
    change = "UPDATE stock SET held = held + :n WHERE store_id = :store AND sku = 'MUG-01'"
    await own.sql(change, n=1, store=STORE)
    code, output = await audit(own)
    await own.sql(change, n=-1, store=STORE)
    assert code == 1, output
    assert "MUG-01" in output


async def test_money_that_only_the_pg_moved_is_told_on_both_kinds_of_reference(own: Shop) -> None:
    number = await own.placed()
    order = await own.order(number)
    [charge] = [
        o for o in order.operations if o.kind is OperationKind.AUTHORIZE and not order.payment(o.payment_id).internal
    ]
    attempt = order.attempt(charge.attempt_id)
    http = own.sandbox.http
    headers = {"Authorization": "Bearer secret", "Idempotency-Key": uuid4().hex}
    by_hand = http.post(
        f"/{attempt.account}/v1/payments/{attempt.reference}/refunds",
        json={"amount": 77, "currency": "KRW"},
        headers=headers,
    )
    by_hand.raise_for_status()
    stray: dict[str, Any] = {
        "merchant_ref": f"stray-{uuid4().hex[:12]}",
        "amount": 500,
        "currency": "KRW",
        "method": "card",
    }
    headers["Idempotency-Key"] = uuid4().hex
    paid = http.post(f"/{attempt.account}/v1/payments", json=stray | {"token": "tok_ok"}, headers=headers)
    paid.raise_for_status()
    code, output = await audit(own)
    assert code == 1, output
    assert any(line.startswith(number) and "refunded 77" in line for line in output.splitlines()), output
    assert any(line.startswith("no order") and stray["merchant_ref"] in line for line in output.splitlines()), output


async def test_a_workflow_that_is_gone_is_told_and_one_that_runs_for_nothing_too(own: Shop) -> None:
    number = await own.placed()
    await own.workflow(number).terminate("by an operator")
    await own.sql("UPDATE section SET status = 'completed' WHERE number = 2 AND order_id = "
                  "(SELECT id FROM orders WHERE number = :number)", number=number)  # fmt: skip
    code, output = await audit(own)
    assert code == 1, output
    told = [line for line in output.splitlines() if line.startswith(number)]
    assert any(f"order.{STORE}.{number} is not open" in line for line in told), output
    assert any(f"section.{STORE}.{number}.2 is open" in line for line in told), output


async def test_many_cases_do_not_hide_the_orders_that_disagree(own: Shop) -> None:
    number = await own.placed()
    bend = "UPDATE orders SET refunded = refunded + :n WHERE number = :number"
    case = """
        INSERT INTO reconciliation_case (id, store_id, account, kind, subject, expected, actual, currency, number,
                                         owner, opened_at)
        SELECT gen_random_uuid(), :store, 'pg-many', 'missing_in_opms', 'line:' || -n, 0, n, 'KRW',
               CASE WHEN n = 30 THEN CAST(:number AS text) END, 'operations', now() FROM generate_series(1, 30) n
    """
    await own.sql(bend, n=1, number=number)
    await own.sql(case, store=STORE, number=number)
    code, output = await audit(own)
    await own.sql(bend, n=-1, number=number)
    await own.sql("DELETE FROM reconciliation_case WHERE account = 'pg-many'")
    assert code == 1, output
    lines = output.splitlines()
    [group] = [n for n, line in enumerate(lines) if line.startswith("30 x missing_in_opms at pg-many")]
    [bent] = [n for n, line in enumerate(lines) if line.startswith(number) and "add up to" in line]
    assert bent < group, output
    assert lines[group + 2].startswith(f"{number} missing_in_opms at pg-many"), output
    assert sum("pg-many: our books say" in line for line in lines) == 10, output
    assert "    and 20 more: missing_in_opms at pg-many" in lines, output


async def test_who_does_not_answer_is_said_to_be_unasked_and_nothing_is_claimed_of_him(own: Shop) -> None:
    code, output = await audit(own, OPMS_DATABASE_URL="postgresql://opms@127.0.0.1:1/opms")
    assert code == 2, output
    assert "nothing is known of them" in output
