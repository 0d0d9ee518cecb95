"""What a PG was sent under a key, as a short text: what is sent again under it must be the same (R4).

Two parts. The first stands for what never changes between two sends: the money and whom it is taken from. The second
stands for what the customer gave beside the token, which is new by design when somebody comes back from a PG's page.
"""

import hashlib
import json
from typing import Any

from domain.gateway import Call, OperationKind

_OF_A_REFUND = "refund_"
_HEX_DIGITS = 32


def fingerprint(call: Call) -> str:
    """``<fixed>.<given>``, 32 hex digits each, of a call that moves money. Only what its PG is told counts.

    Not counted: the attempt's reference in an authorization, whose answer brings it; the token and its like in what
    follows an authorization, which names the reference instead; our own bookkeeping (``not_after``, ``trace``).
    """
    fixed: list[Any] = [call.kind, call.account, call.merchant_ref, call.key, call.amount, call.currency]
    if call.kind is OperationKind.AUTHORIZE:
        fixed += [call.method, call.token, call.customer, call.capture_now, call.instalments]
        fixed += [call.description, call.return_url]
    else:
        fixed.append(call.reference)
    fixed += [call.tax_free] if call.tax_free else []  # None: as before there was any, for what was sent then.
    return f"{_digest(fixed)}.{_digest(_given(call))}"


def is_same(before: str, now: str, *, apart_from_given: bool = False) -> bool:
    """Whether two fingerprints are of the same call; ``apart_from_given``: what the customer gave may differ.

    A fingerprint whose second part is not known (`forget_given`) is the same as any with its first.
    """
    (fixed_before, _, given_before), (fixed_now, _, given_now) = before.partition("."), now.partition(".")
    return fixed_before == fixed_now and (apart_from_given or given_before in {"", given_now})


def forget_given(before: str) -> str:
    """The fingerprint of a call of which it is not known with what the customer had brought it was sent."""
    return before.partition(".")[0] + "."


def _given(call: Call) -> dict[str, str]:
    """Details of a refund go with refunds, all others with the authorization, none with a capture or a void."""
    if call.kind is OperationKind.AUTHORIZE:
        return {name: value for name, value in call.details.items() if not name.startswith(_OF_A_REFUND)}
    if call.kind is OperationKind.REFUND:
        return {name: value for name, value in call.details.items() if name.startswith(_OF_A_REFUND)}
    return {}


def _digest(part: Any) -> str:
    return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:_HEX_DIGITS]
