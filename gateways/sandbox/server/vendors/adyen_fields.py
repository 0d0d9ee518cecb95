"""The fields of Adyen's request structures, Checkout v71 and v72 together: any other field is 400 702.

Some may have a few values only: any other value is 422.
"""

import re
from collections.abc import Mapping
from typing import Any

from gateways.sandbox.server.vendors.adyen_word import AdyenError

_MODIFICATION = "applicationInfo enhancedSchemeData merchantAccount reference"
_SHOPPER = """
accountInfo additionalAmount additionalData amount applicationInfo captureDelayHours dateOfBirth deliveryAddress
billingAddress mcc merchantAccount merchantOrderReference metadata recurringProcessingModel reference shopperEmail
shopperIP shopperInteraction shopperLocale shopperName shopperReference shopperStatement socialSecurityNumber splits
store telephoneNumber threeDS2RequestData threeDSAuthenticationOnly trustedShopper
"""
_PURCHASE = f"""
{_SHOPPER} authenticationData channel company countryCode deliverAt enableOneClick enablePayOut enableRecurring
fundOrigin fundRecipient lineItems mandate mpiData platformChargebackLogic recurringExpiry recurringFrequency
redirectFromIssuerMethod redirectToIssuerMethod returnUrl riskData shopperConversionId storePaymentMethod
thirdPartyTokenRedundancyInfo
"""

_STRUCTURES = {
    name: frozenset(fields.split())
    for name, fields in {
        "PaymentRequest": f"""
            {_PURCHASE} bankAccount browserInfo checkoutAttemptId conversionId dccQuote deliveryDate deviceFingerprint
            enhancedSchemeData entityType fraudOffset industryUsage installments localizedShopperStatement
            merchantRiskIndicator order orderReference origin paymentMethod paymentValidations sessionValidity
            shopperTaxInfo subMerchants surcharge
        """,
        "CreateCheckoutSessionRequest": f"""
            {_PURCHASE} allowedPaymentMethods blockedPaymentMethods expiresAt installmentOptions mode
            showInstallmentAmount showRemovePaymentMethodButton splitCardFundingSources storeFiltrationMode
            storePaymentMethodMode themeId
        """,
        "PaymentDetailsRequest": "authenticationData details paymentData threeDSAuthenticationOnly",
        "PaymentCompletionDetails": """
            MD PaReq PaRes authorization_token billingToken cupsecureplus.smscode facilitatorAccessToken
            oneTimePasscode orderID payerID payload paymentID paymentStatus redirectResult resultCode
            returnUrlQueryString threeDSResult threeds2.challengeResult threeds2.fingerprint vaultToken
        """,
        "PaymentCaptureRequest": f"{_MODIFICATION} amount lineItems platformChargebackLogic splits subMerchants",
        "PaymentCancelRequest": _MODIFICATION,
        "PaymentRefundRequest": f"""
            {_MODIFICATION} amount capturePspReference lineItems merchantRefundReason splits store
        """,
        "PaymentReversalRequest": _MODIFICATION,
        "PaymentAmountUpdateRequest": f"""
            {_MODIFICATION} adjustAuthType adjustAuthorisationData amount industryUsage lineItems mpiData splits
        """,
        "StandalonePaymentCancelRequest": f"{_MODIFICATION} paymentReference",
        "PaymentMethodsRequest": """
            additionalData allowedPaymentMethods amount blockedPaymentMethods browserInfo channel countryCode
            merchantAccount order shopperConversionId shopperEmail shopperIP shopperLocale shopperReference
            splitCardFundingSources store storeFiltrationMode telephoneNumber
        """,
        "CardDetailsRequest": "cardNumber countryCode encryptedCardNumber merchantAccount supportedBrands",
        "StoredPaymentMethodRequest": """
            merchantAccount paymentMethod recurringProcessingModel shopperEmail shopperIP shopperReference
        """,
        "CreateOrderRequest": "amount expiresAt merchantAccount reference",
        "CancelOrderRequest": "merchantAccount order",
        "PaymentLinkRequest": """
            allowedPaymentMethods amount applicationInfo billingAddress blockedPaymentMethods captureDelayHours
            countryCode dateOfBirth deliverAt deliveryAddress description expiresAt fundOrigin fundRecipient
            installmentOptions lineItems manualCapture mcc merchantAccount merchantOrderReference metadata
            platformChargebackLogic recurringProcessingModel reference requiredShopperFields returnUrl reusable
            riskData shopperEmail shopperLocale shopperName shopperReference shopperStatement
            showRemovePaymentMethodButton socialSecurityNumber splitCardFundingSources splits store
            storePaymentMethodMode telephoneNumber themeId threeDS2RequestData
        """,
        "UpdatePaymentLinkRequest": "status",
        "EncryptedOrderData": "orderData pspReference",
        "BalanceCheckRequest": f"""
            {_SHOPPER} browserInfo dccQuote deliveryDate deviceFingerprint fraudOffset installments
            localizedShopperStatement merchantRiskIndicator orderReference paymentMethod recurring selectedBrand
            selectedRecurringDetailReference sessionId totalsGroup
        """,
        "Amount": "currency value",
    }.items()
}
_NESTED = {"amount": "Amount", "details": "PaymentCompletionDetails", "order": "EncryptedOrderData"}
_VALUES = {
    "channel": r"iOS|Android|Web",
    "countryCode": r"[A-Za-z]{2}",
    "recurringProcessingModel": r"CardOnFile|Subscription|UnscheduledCardOnFile",
    "shopperInteraction": r"Ecommerce|ContAuth|Moto|POS",
}
_WORDS = {
    "countryCode": ("200", "Field 'countryCode' is not valid."),
    "shopperInteraction": ("000", "Invalid shopper interaction"),
}
"""Error code and message, where merchants have shown Adyen's."""


def refuse_unlisted(fields: Mapping[str, Any]) -> None:
    """Raises 422 for a value that its field cannot have."""
    for name, listed in _VALUES.items():
        given = fields.get(name)
        if given is not None and (not isinstance(given, str) or re.fullmatch(listed, given) is None):
            code, words = _WORDS.get(name, ("192", f"Field '{name}' is not valid."))
            raise AdyenError(422, code, words)


def refuse_unknown(structure: str, fields: Mapping[str, Any]) -> None:
    """Raises 400 702 for a field that ``structure``, or a structure within it, does not have."""
    unknown = sorted(set(fields) - _STRUCTURES[structure])
    if unknown:
        words = f"Structure of {structure} contains the following unknown fields: [{', '.join(unknown)}]"
        raise AdyenError(400, "702", words)
    for name, nested in _NESTED.items():
        if isinstance(fields.get(name), dict):
            refuse_unknown(nested, fields[name])
