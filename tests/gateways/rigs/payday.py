"""The sandbox's Stripe in this process: what it takes today it pays out days later."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from typing_extensions import override

from gateways.gateway import Account, SettlementLine
from gateways.sandbox.server.vendors.stripe import StripeVoice
from gateways.stripe.adapter import StripeGateway
from tests.gateways.rig import KEY
from tests.gateways.rigs.stripe import a_card_payment
from tests.gateways.stage import Stage

DAY = 24 * 3600


class Payday(Stage):
    """A Stripe in this process whose clock can be put forward."""

    def __init__(self, folder: Path, account: str) -> None:
        super().__init__(folder, "stripe", account, StripeVoice)
        self.gateway = StripeGateway(Account(account, self.url, KEY), client=self.http, clock=lambda: self.now)

    def today(self) -> date:
        """The day (UTC) by its clock."""
        return datetime.fromtimestamp(self.now, UTC).date()

    async def ask(self, method: str, path: str, form: dict[str, Any] | None = None) -> dict[str, Any]:
        """What is answered with 200."""
        given: dict[str, Any] = {"params": form} if method == "GET" else {"data": form}
        headers = {"Authorization": f"Bearer {KEY}"}
        answer = await self.http.request(method, f"{self.url}/v1{path}", headers=headers, **given)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def take(self, amount: int, currency: str = "krw") -> str:
        """A card is charged; the PaymentIntent."""
        form = a_card_payment(amount=str(amount), currency=currency)
        return str((await self.ask("POST", "/payment_intents", form))["id"])

    async def give_back(self, intent: str, amount: int) -> None:
        """A part goes back to the card."""
        await self.ask("POST", "/refunds", {"payment_intent": intent, "amount": str(amount)})

    async def lines(self, day: date) -> list[SettlementLine]:
        """What our adapter makes of a day."""
        return [line async for line in self.gateway.settlement_lines(day)]

    def days_pass(self, days: int) -> None:
        """One after the other, each with what is due on it."""
        for _ in range(days):
            self.now += DAY
            self.run_jobs()

    @override
    async def close(self) -> None:
        await self.gateway.close()
        await super().close()
