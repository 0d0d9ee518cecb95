"""Every PG of the running system is heard: its webhooks are verified and about orders of ours."""

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from cli.accounts import NAMES
from tests.e2e.shop import Shop, until
from tests.e2e.window import BACK, TOSS


def counted(shop: Shop, name: str, account: str, **labels: str) -> float:
    """A counter of the server, over all labels that are not named."""
    wanted = {"account": account, **labels}
    text = httpx.get(f"{shop.demo['api']}/metrics", timeout=30).raise_for_status().text
    samples = (s for family in text_string_to_metric_families(text) for s in family.samples if s.name == name)
    return sum(s.value for s in samples if wanted.items() <= s.labels.items())


def places(shop: Shop, account: str) -> None:
    """A paid order. Toss tells nothing of what it takes by a token: there the customer pays in the window."""
    token = {} if account == TOSS.account else {"token": "tok_ok"}
    payments = [{"method": "card", "amount": 57_700, "return_url": BACK, **token}]
    with shop.ruled("single", **{account.replace("-", "_"): 100}):
        order = shop.checkout(points=0, customer="c-73", payments=payments).json()
    if account == TOSS.account:
        [payment] = order["payments"]
        brought = TOSS.decided(payment["next_action"]["url"], TOSS.approve)
        shop.command(order["number"], f"payments/{payment['id']}/completions", {"details": brought})
    shop.paid(order["number"])


@pytest.mark.parametrize("account", NAMES)
def test_what_a_pg_tells_is_verified_and_about_an_order(shop: Shop, account: str) -> None:
    matched = counted(shop, "opms_webhook_events_total", account, result="matched")
    refused = counted(shop, "opms_webhooks_refused_total", account)
    places(shop, account)
    until(
        f"{account} is heard",
        lambda: counted(shop, "opms_webhook_events_total", account, result="matched") > matched,
    )
    assert counted(shop, "opms_webhooks_refused_total", account) == refused
