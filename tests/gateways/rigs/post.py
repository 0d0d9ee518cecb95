"""Webhooks under the laws: what each vendor's deliveries say, what of them is sealed, and how they are forged."""

import asyncio
import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass

from domain.gateway import Call
from gateways.catalog import build_gateway
from gateways.gateway import Gateway, WebhookBatch, WebhookEvent
from gateways.sandbox.server.delivery import sign
from tests.gateways.rig import CAPTURE, KEY, REFUND, SandboxRig, eventually, succeeded
from tests.gateways.rigs.adyen import AdyenRig
from tests.gateways.rigs.adyen_said import KnownEvents
from tests.gateways.rigs.customer import Way, paid_by
from tests.gateways.rigs.receiver import HeardEvents, Letter, Receiver
from tests.gateways.rigs.stripe import WEBHOOK_SECRET

STRANGER = {"key": "key-of-another-account", "webhook_secret": "11" * 32}
_ADYEN_SEALS = ("pspReference", "originalReference", "merchantAccountCode", "merchantReference")


@dataclass(frozen=True, slots=True)
class Seal:
    """A signature over the whole body in a ``header``, or over what ``covers`` names in a ``field`` of the body."""

    header: str = ""
    field: str = ""
    covers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Habit:
    """The words with which a vendor tells that money was ``taken`` and ``returned``, and what it seals.

    ``stamped``: the signature has a time, and an old one is refused. ``secret``: what the account's target is given.
    """

    taken: bytes
    returned: bytes
    seal: Seal | None
    stamped: bool = False
    secret: str = KEY


HABITS = {
    "adyen": Habit(
        b'"eventCode": "CAPTURE"',
        b'"eventCode": "REFUND"',
        Seal(field="hmacSignature", covers=(*_ADYEN_SEALS, "value", "currency", "eventCode", "success")),
    ),
    "nice": Habit(b'"paid"', b'"partialCancelled"', Seal(field="signature", covers=("tid", "amount", "ediDate"))),
    "sandbox": Habit(b"payment.captured", b"payment.refunded", Seal(header="Sandbox-Signature"), stamped=True),
    "stripe": Habit(
        b'"charge.captured"',
        b'"charge.refunded"',
        Seal(header="Stripe-Signature"),
        stamped=True,
        secret=WEBHOOK_SECRET,
    ),
    "toss": Habit(b'"status":"DONE"', b'"status":"PARTIAL_CANCELED"', None),
}


class Post:
    """An account of its own at the sandbox, and all that comes to its address."""

    def __init__(self, rig: SandboxRig) -> None:
        self.rig = rig
        self.habit = HABITS[rig.gateway.vendor]
        if isinstance(rig, AdyenRig):
            self._receiver = rig.receiver
            return
        self._receiver = Receiver(rig.gateway.parse_webhook, HeardEvents())
        rig.listen(self._receiver.url, self.habit.secret)

    def read(self, letter: Letter, gateway: Gateway | None = None) -> WebhookBatch:
        """What the account's gateway, or another, makes of it."""
        return (gateway or self.rig.gateway).parse_webhook(letter.raw, letter.headers)

    def events(self, letters: list[Letter]) -> list[WebhookEvent]:
        """Of all letters, in their order."""
        return [event for letter in letters for event in self.read(letter).events]

    async def told(self, call: Call, word: bytes, times: int = 1) -> list[Letter]:
        """The letters about the call's payment that have this word, once there are so many."""

        def mine() -> list[Letter]:
            letters = list(self._receiver.letters)
            return [one for one in letters if word in one.raw and call.merchant_ref.encode() in one.raw]

        found: list[Letter] = await asyncio.to_thread(eventually, mine, lambda letters: len(letters) >= times)
        assert len(found) >= times
        return found

    async def taken(self) -> Call:
        """10 000 are taken in the way of which the vendor tells; the capture, or the payment itself."""
        if not self.rig.gateway.capabilities().manual_capture:
            call, answer = await paid_by(self.rig, Way.PAGE)
            call = dataclasses.replace(call, details={}, reference=answer.reference)
        else:
            charge = self.rig.charge(capture_now=False)
            reference = (await succeeded(self.rig, charge)).reference
            call = self.rig.follow(charge, CAPTURE, 10_000, reference)
            await succeeded(self.rig, call)
        await self.told(call, self.habit.taken)
        return call

    async def returned(self, taken: Call, times: int = 1) -> Call:
        """4 000 of them are given back."""
        refund = self.rig.follow(taken, REFUND, 4_000, taken.reference)
        await succeeded(self.rig, refund)
        await self.told(taken, self.habit.returned, times)
        return refund

    def hearing(self, *events: WebhookEvent) -> Gateway:
        """A gateway of the account to which these events are known, in this order and so often."""
        return build_gateway(self.rig.gateway.vendor, self.rig.settings(), KnownEvents(*events))

    async def close(self) -> None:
        """Release the account and stop listening."""
        await self.rig.close()
        if not isinstance(self.rig, AdyenRig):
            self._receiver.close()


def all_forgeries(letter: Letter, seal: Seal) -> list[Letter]:
    """The letter with each sealed byte, or each sealed field, changed in turn; and with a byte more."""
    if seal.header:
        bodies = [letter.raw[:at] + bytes([byte ^ 1]) + letter.raw[at + 1 :] for at, byte in enumerate(letter.raw)]
        bodies.append(letter.raw + b" ")
    else:
        bodies = [_first_changed(letter.raw, name) for name in seal.covers]
    return [dataclasses.replace(letter, raw=raw) for raw in bodies]


def with_another_signature(letter: Letter, seal: Seal) -> Letter:
    """One character of the signature is another."""
    if not seal.header:
        return dataclasses.replace(letter, raw=_first_changed(letter.raw, seal.field))
    stamp, mark, signature = letter.headers[seal.header].partition("v1=")
    return _headed(letter, {seal.header: f"{stamp}{mark}{_another(signature[0])}{signature[1:]}"})


def without_signature(letter: Letter, seal: Seal) -> Letter:
    """As somebody sends it who knows no secret."""
    if seal.header:
        return Letter(letter.raw, {name: value for name, value in letter.headers.items() if name != seal.header})
    return dataclasses.replace(letter, raw=letter.raw.replace(f'"{seal.field}"'.encode(), b'"unsealed"'))


def sealed_anew(letter: Letter, habit: Habit, now: float) -> Letter:
    """As the vendor sends it again at another time, Unix seconds: with a signature of that time if it has one."""
    if habit.seal is None or not habit.seal.header:
        return letter
    return _headed(letter, {habit.seal.header: sign(habit.secret, letter.raw, now)})


def _headed(letter: Letter, headers: Mapping[str, str]) -> Letter:
    return Letter(letter.raw, {**letter.headers, **headers})


def _first_changed(raw: bytes, field: str) -> bytes:
    """The first character of the field's value is another, wherever the field stands."""
    found = re.compile(rb'("' + field.encode() + rb'":\s*"?)([A-Za-z0-9+/])')
    assert found.search(raw), field
    return found.sub(lambda match: match[1] + _another(match[2].decode()).encode(), raw)


def _another(character: str) -> str:
    return "1" if character != "1" else "2"
