"""Webhooks under the laws: what each vendor's deliveries say, what of them is sealed, and how they are forged."""

import asyncio
import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass

from domain.gateway import Call
from gateways.catalog import build_gateway
from gateways.gateway import Gateway, WebhookBatch, WebhookEvent
from gateways.sandbox.server.delivery import sign
from tests.gateways.rig import CAPTURE, KEY, REFUND, SandboxRig, eventually, succeeded
from tests.gateways.rigs.adyen import HMAC_KEY
from tests.gateways.rigs.adyen_said import KnownEvents
from tests.gateways.rigs.customer import Way, paid_by
from tests.gateways.rigs.receiver import HeardEvents, Letter, Receiver
from tests.gateways.rigs.stripe import WEBHOOK_SECRET

STRANGER = {"key": "key-of-another-account", "webhook_secret": "11" * 32}
Sign = Callable[[str, bytes, float], str]
_SIGNATURE = re.compile(r"[A-Za-z0-9+/]{40,}=*")
"""What of a header or of a field is a signature, and no time and no version: hex or base64 of a digest."""
_ADYEN_SEALS = ("pspReference", "originalReference", "merchantAccountCode", "merchantReference")


@dataclass(frozen=True, slots=True)
class Seal:
    """A signature over the whole body in a ``header``, or over what ``covers`` names in a ``field`` of the body.

    ``sign``: what the vendor writes into the header, from a secret, a body and a time in Unix seconds.
    """

    header: str = ""
    sign: Sign = sign
    field: str = ""
    covers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Habit:
    """The words with which a vendor tells that money was ``taken`` and ``returned``, and what it seals.

    ``refused``: that a payment was declined; empty: of that it sends nothing. ``stamped``: the signature has a time,
    and an old one is refused. ``secret``: what the account's target is given.
    """

    taken: bytes
    returned: bytes
    seal: Seal | None
    refused: bytes = b""
    stamped: bool = False
    secret: str = KEY


HABITS = {
    "adyen": Habit(
        b'"eventCode": "CAPTURE"',
        b'"eventCode": "REFUND"',
        Seal(field="hmacSignature", covers=(*_ADYEN_SEALS, "value", "currency", "eventCode", "success")),
        refused=b'"eventCode": "AUTHORISATION"',
        secret=HMAC_KEY,
    ),
    "nice": Habit(b'"paid"', b'"partialCancelled"', Seal(field="signature", covers=("tid", "amount", "ediDate"))),
    "sandbox": Habit(
        b"payment.captured",
        b"payment.refunded",
        Seal(header="Sandbox-Signature"),
        refused=b"payment.declined",
        stamped=True,
    ),
    "stripe": Habit(
        b'"charge.captured"',
        b'"charge.refunded"',
        Seal(header="Stripe-Signature"),
        refused=b'"payment_intent.payment_failed"',
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
        self._receiver = rig.receiver or Receiver(rig.gateway.parse_webhook, HeardEvents())
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
        if self.rig.receiver is None:
            self._receiver.close()


def all_forgeries(letter: Letter, seal: Seal) -> list[Letter]:
    """The letter with each sealed byte, or each sealed field, changed in turn; and with a byte more."""
    if seal.header:
        bodies = [letter.raw[:at] + bytes([byte ^ 1]) + letter.raw[at + 1 :] for at, byte in enumerate(letter.raw)]
        bodies.append(letter.raw + b" ")
    else:
        bodies = [_first_changed(letter.raw, name) for name in seal.covers]
    return [dataclasses.replace(letter, raw=raw) for raw in bodies]


def with_other_signatures(letter: Letter, seal: Seal) -> list[Letter]:
    """One character of the signature is another: the first, one in the middle, the last; or the end is cut off."""
    return [
        _resealed(letter, seal, change) for change in (_at(0), _at(20), _at(39), lambda given: given[:8], lambda _: "")
    ]


def without_signature(letter: Letter, seal: Seal) -> Letter:
    """As somebody sends it who knows no secret."""
    if seal.header:
        return Letter(letter.raw, {name: value for name, value in letter.headers.items() if name != seal.header})
    return dataclasses.replace(letter, raw=letter.raw.replace(f'"{seal.field}"'.encode(), b'"unsealed"'))


def sealed_anew(
    letter: Letter, habit: Habit, now: float, *, raw: bytes | None = None, secret: str | None = None
) -> Letter:
    """As the vendor sends it at another time, Unix seconds; ``raw``: with another body; ``secret``: signed with it.

    What is sealed inside its body, or not at all, is as it was, but for ``raw``.
    """
    letter = letter if raw is None else Letter(raw, letter.headers)
    if habit.seal is None or not habit.seal.header:
        return letter
    signature = habit.seal.sign(habit.secret if secret is None else secret, letter.raw, now)
    return Letter(letter.raw, {**letter.headers, habit.seal.header: signature})


def _resealed(letter: Letter, seal: Seal, change: Callable[[str], str]) -> Letter:
    def changed(text: str) -> str:
        assert _SIGNATURE.search(text), text
        return _SIGNATURE.sub(lambda found: change(found[0]), text)

    if seal.header:
        return Letter(letter.raw, {**letter.headers, seal.header: changed(letter.headers[seal.header])})
    start, given, rest = _parted(letter.raw, seal.field)
    return Letter(f"{start}{changed(given)}{rest}".encode(), letter.headers)


def _parted(raw: bytes, field: str) -> tuple[str, str, str]:
    """A body before, in and after the text of a field."""
    found = re.search(r'"' + field + r'":\s*"([^"]*)"', raw.decode())
    assert found, field
    return raw.decode()[: found.start(1)], found[1], raw.decode()[found.end(1) :]


def _at(place: int) -> Callable[[str], str]:
    return lambda given: given[:place] + _another(given[place]) + given[place + 1 :]


def _first_changed(raw: bytes, field: str) -> bytes:
    """The first character of the field's value is another, wherever the field stands."""
    found = re.compile(rb'("' + field.encode() + rb'":\s*"?)([A-Za-z0-9+/])')
    assert found.search(raw), field
    return found.sub(lambda match: match[1] + _another(match[2].decode()).encode(), raw)


def _another(character: str) -> str:
    return "1" if character != "1" else "2"
