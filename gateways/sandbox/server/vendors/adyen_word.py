"""Adyen's words: errors as HTTP 4xx, refusal reasons as HTTP 200, and the test values that trigger them."""

import secrets
import string
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from gateways.sandbox.server.personality import Said

_ALPHABET = string.ascii_uppercase + string.digits
_MEDIA_TYPE = "application/json;charset=UTF-8"
_NAMELESS = frozenset({400, 401, 404, 405})
"""HTTP statuses whose errors have no pspReference in their body."""

REASONS = {
    "0": "Unknown",
    "2": "Refused",
    "3": "Referral",
    "4": "Acquirer Error",
    "5": "Blocked Card",
    "6": "Expired Card",
    "7": "Invalid Amount",
    "8": "Invalid Card Number",
    "9": "Issuer Unavailable",
    "10": "Not supported",
    "11": "3D Not Authenticated",
    "12": "Not enough balance",
    "14": "Acquirer Fraud",
    "15": "Cancelled",
    "16": "Shopper Cancelled",
    "17": "Invalid Pin",
    "18": "Pin tries exceeded",
    "19": "Pin validation not possible",
    "20": "FRAUD",
    "21": "Not Submitted",
    "22": "FRAUD-CANCELLED",
    "23": "Transaction Not Permitted",
    "24": "CVC Declined",
    "25": "Restricted Card",
    "26": "Revocation Of Auth",
    "27": "Declined Non Generic",
    "28": "Withdrawal amount exceeded",
    "29": "Withdrawal count exceeded",
    "31": "Issuer Suspected Fraud",
}
"""refusalReasonCode -> refusalReason. The code is also what additionalData.RequestedTestAcquirerResponseCode takes."""

HOLDER_NAMES = {
    "UNKNOWN": "0",
    "DECLINED": "2",
    "REFERRAL": "3",
    "ERROR": "4",
    "BLOCK_CARD": "5",
    "CARD_EXPIRED": "6",
    "INVALID_AMOUNT": "7",
    "INVALID_CARD": "8",
    "ISSUER_UNAVAILABLE": "9",
    "NOT_SUPPORTED": "10",
    "NOT_3D_AUTHENTICATED": "11",
    "NOT_ENOUGH_BALANCE": "12",
    "ACQUIRER_FRAUD": "14",
    "CANCELLED": "15",
    "SHOPPER_CANCELLED": "16",
    "INVALID_PIN": "17",
    "PIN_TRIES_EXCEEDED": "18",
    "FRAUD": "20",
    "NOT_SUBMITTED": "21",
    "FRAUD_CANCELLED": "22",
    "TRANSACTION_NOT_PERMITTED": "23",
    "CVC_DECLINED": "24",
    "RESTRICTED_CARD": "25",
    "REVOCATION_OF_AUTH": "26",
    "DECLINED_NON_GENERIC": "27",
    "WITHDRAWAL_AMOUNT_EXCEEDED": "28",
    "WITHDRAWAL_COUNT_EXCEEDED": "29",
    "ISSUER_SUSPECTED_FRAUD": "31",
}
"""paymentMethod.holderName -> refusalReasonCode."""

_ERROR_CODES = frozenset({"0", "4", "9"})
_CANCELLED_CODES = frozenset({"15", "16", "22"})


def result_of(refusal: str) -> str:
    """The resultCode that goes with a refusalReasonCode."""
    if refusal in _ERROR_CODES:
        return "Error"
    return "Cancelled" if refusal in _CANCELLED_CODES else "Refused"


class AdyenError(Exception):
    """A request that is answered with ``{status, errorCode, message, errorType, pspReference}``."""

    def __init__(
        self, status: int, code: str, message: str, kind: str = "validation", *, transient: bool = False
    ) -> None:
        """``transient``: nothing was sent on; the key is free, and the answer says so."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.kind = kind
        self.transient = transient

    @property
    def is_final(self) -> bool:
        """Whether this answer is what the key has from now on."""
        return not self.transient and self.kind != "security"

    def said(self) -> Said:
        """As it is sent."""
        body: dict[str, Any] = {
            "status": self.status,
            "errorCode": self.code,
            "message": self.message,
            "errorType": self.kind,
        }
        if self.status not in _NAMELESS and self.code != "704":
            body["pspReference"] = new_psp()
        return speak(self.status, body, **({"Transient_Error": "true"} if self.transient else {}))


def speak(status: int, body: dict[str, Any], **headers: str) -> Said:
    """Adyen's JSON. A pspReference is in the headers of every answer: the body's, else one of the request itself."""
    said = Said.json(status, body, pspReference=body.get("pspReference") or new_psp(), **headers)
    return replace(said, headers={**said.headers, "content-type": _MEDIA_TYPE})


def new_psp() -> str:
    """A pspReference: 16 characters."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(16))


def moment(at: float) -> str:
    """Unix seconds as ISO 8601 in UTC. Raises ``ValueError`` for a year that has not four digits."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def unauthorized() -> AdyenError:
    """The API key is missing or wrong."""
    return AdyenError(401, "000", "HTTP Status Response - Unauthorized", "security")


def not_found() -> AdyenError:
    """There is nothing at this address."""
    return AdyenError(404, "000", "HTTP Status Response - Not Found", "security")


def in_progress() -> AdyenError:
    """Another request with this key is being processed; with the same key its answer can be had later."""
    return AdyenError(422, "704", "request already processed or in progress", transient=True)


def missing_field(name: str) -> AdyenError:
    """A field that the request must have."""
    return AdyenError(422, "130" if name == "reference" else "158", f"Required field '{name}' is not provided.")


def invalid_field(name: str) -> AdyenError:
    """A field with a value that it cannot have."""
    return AdyenError(422, "192", f"Field '{name}' is not valid.")


def invalid_merchant() -> AdyenError:
    """The merchant account is missing, or this account's key does not open it."""
    return AdyenError(403, "901", "Invalid Merchant Account", "security")


def no_original() -> AdyenError:
    """A modification of a payment that is not there."""
    return AdyenError(422, "167", "Original pspReference required for this operation")


@dataclass(frozen=True, slots=True)
class Amount:
    """Adyen's amount: ``value`` in minor units."""

    currency: str
    value: int

    def as_json(self) -> dict[str, Any]:
        """The shape everywhere."""
        return {"currency": self.currency, "value": self.value}
