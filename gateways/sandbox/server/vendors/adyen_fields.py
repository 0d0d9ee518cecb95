"""The fields of Adyen's request structures, Checkout v71 and v72 together: any other field is 400 702."""

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


def refuse_unknown(structure: str, fields: Mapping[str, Any]) -> None:
    """Raises 400 702 for a field that ``structure``, or a structure within it, does not have."""
    unknown = sorted(set(fields) - _STRUCTURES[structure])
    if unknown:
        words = f"Structure of {structure} contains the following unknown fields: [{', '.join(unknown)}]"
        raise AdyenError(400, "702", words)
    for name, nested in _NESTED.items():
        if isinstance(fields.get(name), dict):
            refuse_unknown(nested, fields[name])
