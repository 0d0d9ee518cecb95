"""The database against itself: every sum that is stored must be the sum of what it is of. Each check is one statement.

A statement gives a row for each disagreement: what it is about, what is stored, and what it should be.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.order import Order
from domain.payment import CHARGED_METHODS
from queries.order import DOCUMENT, ORDER

ORDERS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Check:
    """One kind of sum. ``counts`` gives how many there are, ``differs`` those that do not add up."""

    name: str
    counts: str
    differs: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a stored sum is not what it is the sum of. ``subject``: an order's number, a SKU, a lot.

    ``group``: of what many may be the same, such as the cases of one kind at one account.
    """

    subject: str
    what: str
    group: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptMoney:
    """What our books have of one attempt at a PG, folded from its operations. Minor units."""

    store: str
    number: str
    account: str
    merchant_ref: str
    captured: int
    refunded: int
    held: int
    in_doubt: bool


CHARGED = ", ".join(f"'{method}'" for method in sorted(CHARGED_METHODS))
"""SQL: methods of which nothing is held where nothing is taken."""
BUG = "a bug of OPMS: keep the database as it is and report it; nothing is repaired silently"

CHECKS = (
    Check(
        "payments are the fold of their operations",
        "SELECT count(*) FROM payment",
        """
        WITH fold AS (
            SELECT payment_id,
                   coalesce(sum(amount) FILTER (WHERE kind = 'authorize' AND outcome = 'succeeded'), 0) AS authorized,
                   coalesce(sum(amount - reversed_amount) FILTER (WHERE outcome = 'succeeded'
                            AND (kind = 'capture' OR (kind = 'authorize' AND capture_now))), 0) AS captured,
                   coalesce(sum(amount) FILTER (WHERE kind = 'void' AND outcome = 'succeeded'), 0) AS voided,
                   coalesce(sum(amount - reversed_amount) FILTER (WHERE kind = 'refund' AND outcome = 'succeeded'), 0)
                   AS refunded
              FROM operation WHERE NOT orphan GROUP BY payment_id)
        SELECT r.number, format('payment %s (%s) has authorized %s, captured %s, voided %s, refunded %s; its '
                                'operations add up to %s, %s, %s, %s', p.id, p.method, p.authorized, p.captured,
                                p.voided, p.refunded, coalesce(f.authorized, 0), coalesce(f.captured, 0),
                                coalesce(f.voided, 0), coalesce(f.refunded, 0))
          FROM payment p JOIN orders r ON r.id = p.order_id LEFT JOIN fold f ON f.payment_id = p.id
         WHERE (p.authorized, p.captured, p.voided, p.refunded) <> (coalesce(f.authorized, 0),
                coalesce(f.captured, 0), coalesce(f.voided, 0), coalesce(f.refunded, 0))
        """,
        BUG,
    ),
    Check(
        "orders are the sum of their payments",
        "SELECT count(*) FROM orders",
        """
        SELECT r.number, format('authorized %s, captured %s, refunded %s; its payments add up to %s, %s, %s',
                                r.authorized, r.captured, r.refunded, p.authorized, p.captured, p.refunded)
          FROM orders r
          JOIN LATERAL (SELECT coalesce(sum(authorized - voided), 0) AS authorized,
                               coalesce(sum(captured), 0) AS captured, coalesce(sum(refunded), 0) AS refunded
                          FROM payment WHERE order_id = r.id) p ON true
         WHERE (r.authorized, r.captured, r.refunded) <> (p.authorized, p.captured, p.refunded)
        """,
        BUG,
    ),
    Check(
        "allocations add up to their payments",
        "SELECT count(*) FROM allocation",
        """
        SELECT r.number, format('payment %s has captured %s, refunded %s; its sections have %s, %s', p.id, p.captured,
                                p.refunded, sum(a.captured), sum(a.refunded))
          FROM allocation a JOIN payment p ON p.id = a.payment_id JOIN orders r ON r.id = p.order_id
         GROUP BY r.number, p.id, p.captured, p.refunded
        HAVING (p.captured, p.refunded) <> (sum(a.captured), sum(a.refunded))
        """,
        BUG,
    ),
    Check(
        "no refund gives back more than it was granted for",
        "SELECT count(*) FROM refund",
        """
        SELECT r.number, format('refund %s may return %s; its legs have %s', f.id, f.returnable, sum(l.amount))
          FROM refund f JOIN orders r ON r.id = f.order_id JOIN refund_leg l ON l.refund_id = f.id
         WHERE l.status NOT IN ('failed', 'reversed')
         GROUP BY r.number, f.id, f.returnable HAVING sum(l.amount) > f.returnable
        """,
        BUG,
    ),
    Check(
        "orders that are over hold no money",
        "SELECT count(*) FROM orders WHERE status IN ('expired', 'canceled')",
        f"""
        SELECT number, format('it is %s and %s of the customer''s money is still with us', status, held)
          FROM orders o
          JOIN LATERAL (SELECT sum(CASE WHEN p.method IN ({CHARGED}) THEN p.captured ELSE p.authorized - p.voided END
                                   - p.refunded) AS held FROM payment p WHERE p.order_id = o.id) p ON held > 0
         WHERE status IN ('expired', 'canceled')
           AND NOT EXISTS (SELECT FROM operation q WHERE q.order_id = o.id
                              AND q.outcome IN ('initiated', 'pending', 'action_required', 'unknown'))
        """,
        "the order should have given it back: look at its workflow, signal look_again",
    ),
    Check(
        "stock is what items hold",
        "SELECT count(*) FROM stock",
        """
        WITH pieces AS (
            SELECT r.store_id, i.sku, coalesce(sum(i.quantity) FILTER (WHERE i.state = 'pending'), 0) AS held,
                   coalesce(sum(i.quantity) FILTER (WHERE i.state IN ('allocated', 'preparing')), 0) AS committed
              FROM item i JOIN orders r ON r.id = i.order_id WHERE i.tracked GROUP BY r.store_id, i.sku)
        SELECT s.sku, format('held %s, committed %s; items have %s, %s', s.held, s.committed, coalesce(p.held, 0),
                             coalesce(p.committed, 0))
          FROM stock s LEFT JOIN pieces p ON (p.store_id, p.sku) = (s.store_id, s.sku)
         WHERE (s.held, s.committed) <> (coalesce(p.held, 0), coalesce(p.committed, 0))
        """,
        BUG,
    ),
    Check(
        "customers' own value is the fold of its ledger",
        "SELECT count(*) FROM value_lot",
        """
        WITH taken AS (
            SELECT lot_id, sum(amount - captured - released) AS held, sum(captured - refunded) AS spent
              FROM value_hold GROUP BY lot_id),
        written AS (
            SELECT lot_id, coalesce(sum(amount) FILTER (WHERE operation = 'grant'), 0) AS granted,
                   coalesce(sum(amount) FILTER (WHERE operation = 'correct'), 0) AS corrected,
                   coalesce(sum(amount) FILTER (WHERE operation = 'hold'), 0)
                   - coalesce(sum(amount) FILTER (WHERE operation IN ('capture', 'release')), 0) AS held,
                   coalesce(sum(amount) FILTER (WHERE operation = 'capture'), 0)
                   - coalesce(sum(amount) FILTER (WHERE operation = 'refund'), 0) AS spent
              FROM value_entry GROUP BY lot_id)
        SELECT v.id::text, format('%s lot: amount %s, held %s, spent %s; its entries say %s, %s, %s; its payments '
                                  '%s, %s', v.kind, v.amount, v.held, v.spent, w.granted, w.held, w.spent + w.corrected,
                                  coalesce(t.held, 0), coalesce(t.spent, 0) + w.corrected)
          FROM value_lot v LEFT JOIN written w ON w.lot_id = v.id LEFT JOIN taken t ON t.lot_id = v.id
         WHERE (v.amount, v.held, v.spent)
               IS DISTINCT FROM (w.granted, w.held::bigint, (w.spent + w.corrected)::bigint)
            OR (v.held, v.spent)
               IS DISTINCT FROM (coalesce(t.held, 0)::bigint, (coalesce(t.spent, 0) + w.corrected)::bigint)
        """,
        BUG,
    ),
)

_ORDERS = text(f"SELECT {DOCUMENT} FROM orders o WHERE o.id > :after ORDER BY o.id LIMIT :limit")
_ATTEMPTS = f"""
    SELECT r.store_id, r.number, t.account, t.merchant_ref,
           coalesce(sum(o.amount - o.reversed_amount) FILTER (WHERE o.moved
                    AND (o.kind = 'capture' OR (o.kind = 'authorize' AND o.capture_now))), 0)::bigint,
           coalesce(sum(o.amount - o.reversed_amount) FILTER (WHERE o.moved AND o.kind = 'refund'), 0)::bigint,
           (coalesce(sum(o.amount - CASE WHEN p.method IN ({CHARGED}) THEN o.reversed_amount ELSE 0 END)
                     FILTER (WHERE o.moved AND o.kind = 'authorize'), 0)
            - coalesce(sum(o.amount - o.reversed_amount) FILTER (WHERE o.moved
                    AND (o.kind IN ('capture', 'void') OR (o.kind = 'authorize' AND o.capture_now))), 0))::bigint,
           bool_or(o.outcome IN ('initiated', 'pending', 'action_required', 'unknown'))
      FROM attempt t JOIN orders r ON r.id = t.order_id JOIN payment p ON p.id = t.payment_id
      JOIN (SELECT q.*, q.outcome = 'succeeded' OR (q.kind = 'authorize' AND EXISTS (
                         SELECT FROM operation f WHERE f.attempt_id = q.attempt_id AND f.orphan AND f.kind = 'lookup'
                            AND f.outcome = 'succeeded')) AS moved
              FROM operation q WHERE NOT EXISTS (
                   SELECT FROM refund_leg g WHERE g.id = q.leg_id AND g.destination = 'store_credit')
           ) o ON o.attempt_id = t.id
"""
_MONEY = text(f"{_ATTEMPTS} WHERE t.account = :account GROUP BY t.id, r.id")
_MONEY_OF = text(f"{_ATTEMPTS} WHERE t.account = :account AND t.merchant_ref = :merchant_ref GROUP BY t.id, r.id")
_ACCOUNTS = text("SELECT id FROM gateway_account ORDER BY id")
_CASES = text(
    """
    SELECT coalesce(number, 'no order'), format('%s at %s: %s %s, the PG %s %s, open for %s days, with %s', kind,
           account, CASE kind WHEN 'changed_line' THEN 'before, the PG said' ELSE 'our books say' END, expected, actual,
           currency, extract(day FROM now() - opened_at), owner),
           format('%s at %s', kind, account)
      FROM reconciliation_case WHERE closed_at IS NULL ORDER BY kind, account, number IS NULL, id
    """
)
_JUDGED = text("SELECT count(*) FROM settlement_line WHERE finding IS NOT NULL")


async def run_check(connection: AsyncConnection, check: Check) -> tuple[int, list[Difference]]:
    """How many were looked at, and those that do not add up."""
    count: int = (await connection.execute(text(check.counts))).scalar_one()
    return count, [Difference(*row) for row in await connection.execute(text(check.differs))]


async def open_cases(connection: AsyncConnection) -> tuple[int, list[Difference]]:
    """How many settlement lines have been judged, and what nobody has explained yet."""
    count: int = (await connection.execute(_JUDGED)).scalar_one()
    return count, [Difference(*row) for row in await connection.execute(_CASES)]


async def every_order(connection: AsyncConnection) -> AsyncIterator[Order]:
    """All orders of all stores, a few at a time."""
    after = UUID(int=0)
    while True:
        rows = (await connection.execute(_ORDERS, {"after": after, "limit": ORDERS_AT_ONCE})).scalars().all()
        for document in rows:
            order: Order = ORDER.validate_json(document)
            after = order.id
            yield order
        if not rows:
            return


async def accounts(connection: AsyncConnection) -> list[str]:
    """Every PG account of every store."""
    return list((await connection.execute(_ACCOUNTS)).scalars())


async def money_of_account(connection: AsyncConnection, account: str) -> list[AttemptMoney]:
    """Every attempt at an account."""
    return [AttemptMoney(*row) for row in await connection.execute(_MONEY, {"account": account})]


async def money_of_attempt(connection: AsyncConnection, account: str, merchant_ref: str) -> AttemptMoney | None:
    """One attempt as it stands now."""
    row = (await connection.execute(_MONEY_OF, {"account": account, "merchant_ref": merchant_ref})).one_or_none()
    return None if row is None else AttemptMoney(*row)
