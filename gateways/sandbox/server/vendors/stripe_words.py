"""Stripe's vocabulary: the parameters of each endpoint, its currencies and payment method types, amounts in words.

https://docs.stripe.com/api, https://docs.stripe.com/currencies
"""

_PAGED = "ending_before expand limit starting_after"
_CREATE_INTENT = (
    "amount currency allowed_payment_method_types amount_details application_fee_amount automatic_payment_methods "
    "capture_method confirm confirmation_method confirmation_token customer customer_account description "
    "error_on_requires_action excluded_payment_method_types expand hooks mandate mandate_data metadata off_session "
    "on_behalf_of payment_details payment_method payment_method_configuration payment_method_data "
    "payment_method_options payment_method_types radar_options receipt_email return_url setup_future_usage shipping "
    "statement_descriptor statement_descriptor_suffix transfer_data transfer_group use_stripe_sdk"
)
_UPDATE_INTENT = (
    "allowed_payment_method_types amount amount_details application_fee_amount capture_method currency customer "
    "customer_account description excluded_payment_method_types expand hooks metadata payment_details payment_method "
    "payment_method_configuration payment_method_data payment_method_options payment_method_types receipt_email "
    "setup_future_usage shipping statement_descriptor statement_descriptor_suffix transfer_data transfer_group"
)
_CUSTOMER = (
    "address balance business_name cash_balance description email expand individual_name invoice_prefix "
    "invoice_settings metadata name next_invoice_sequence phone preferred_locales shipping source tax tax_exempt"
)
_CREATE_SESSION = (
    "adaptive_pricing after_expiration allow_promotion_codes allowed_payment_method_types automatic_tax "
    "billing_address_collection branding_settings cancel_url client_reference_id consent_collection currency "
    "custom_fields custom_text customer customer_account customer_creation customer_email customer_update discounts "
    "excluded_payment_method_types expand expires_at integration_identifier invoice_creation line_items locale "
    "managed_payments metadata mode name_collection optional_items origin_context payment_intent_data "
    "payment_method_collection payment_method_configuration payment_method_data payment_method_options "
    "payment_method_types permissions phone_number_collection redirect_on_completion return_url "
    "saved_payment_method_options setup_intent_data shipping_address_collection shipping_options submit_type "
    "subscription_data success_url tax_id_collection ui_mode "
    "wallet_options"
)
KNOWN: dict[str, frozenset[str]] = {
    name: frozenset(fields.split())
    for name, fields in {
        "create": _CREATE_INTENT,
        "update": _UPDATE_INTENT,
        "confirm": (
            "amount_details amount_to_confirm capture_method client_secret confirmation_token error_on_requires_action "
            "excluded_payment_method_types expand hooks mandate mandate_data off_session payment_details "
            "payment_method payment_method_data payment_method_options payment_method_types radar_options "
            "receipt_email return_url setup_future_usage shipping use_stripe_sdk"
        ),
        "capture": (
            "amount_details amount_to_capture application_fee_amount expand final_capture hooks metadata "
            "payment_details statement_descriptor statement_descriptor_suffix transfer_data"
        ),
        "cancel": "cancellation_reason expand",
        "refund": (
            "amount charge currency customer expand instructions_email metadata origin payment_intent reason "
            "refund_application_fee reverse_transfer"
        ),
        "update_refund": "expand metadata",
        "update_session": "expand metadata",
        "capture_charge": (
            "amount application_fee application_fee_amount expand receipt_email statement_descriptor "
            "statement_descriptor_suffix transfer_data transfer_group"
        ),
        "update_charge": ("customer description expand fraud_details metadata receipt_email shipping transfer_group"),
        "create_customer": f"{_CUSTOMER} payment_method tax_id_data test_clock",
        "update_customer": f"{_CUSTOMER} default_source",
        "payment_method": "allow_redisplay billing_details card customer expand metadata payment_method type",
        "update_payment_method": "allow_redisplay billing_details card expand metadata",
        "attach": "customer customer_account expand",
        "only_expand": "expand",
        "list_parts": _PAGED,
        "retrieve": "client_secret expand",
        "list_intents": f"created customer customer_account {_PAGED}",
        "list_charges": f"created customer payment_intent transfer_group {_PAGED}",
        "list_refunds": f"charge created payment_intent {_PAGED}",
        "list_balance": f"created currency payout source type {_PAGED}",
        "list_customers": f"created email test_clock {_PAGED}",
        "list_methods": f"allow_redisplay customer customer_account type {_PAGED}",
        "list_events": f"created delivery_success type types {_PAGED}",
        "list_payouts": f"arrival_date created destination status {_PAGED}",
        "list_disputes": f"charge created payment_intent {_PAGED}",
        "create_session": _CREATE_SESSION,
        "list_sessions": (
            "created customer customer_account customer_details payment_intent payment_link status subscription "
            f"{_PAGED}"
        ),
        "search": "expand limit page query",
    }.items()
}
"""The documented parameters of each endpoint; another one is refused."""

NESTED: dict[str, frozenset[str]] = {
    "adaptive_pricing": frozenset({"enabled"}),
    "automatic_payment_methods": frozenset({"allow_redirects", "enabled"}),
    "payment_intent_data": frozenset(
        {
            "application_fee_amount",
            "capture_method",
            "description",
            "metadata",
            "on_behalf_of",
            "receipt_email",
            "setup_future_usage",
            "shipping",
            "statement_descriptor",
            "statement_descriptor_suffix",
            "transfer_data",
            "transfer_group",
        }
    ),
    "payment_method_options[card]": frozenset(
        {
            "capture_method",
            "cvc_token",
            "installments",
            "mandate_options",
            "moto",
            "network",
            "request_extended_authorization",
            "request_incremental_authorization",
            "request_multicapture",
            "request_overcapture",
            "request_three_d_secure",
            "require_cvc_recollection",
            "restrictions",
            "setup_credential_usage",
            "setup_future_usage",
            "statement_descriptor_suffix_kana",
            "statement_descriptor_suffix_kanji",
            "stored_credential_usage",
            "three_d_secure",
        }
    ),
    "shipping": frozenset({"address", "carrier", "name", "phone", "tracking_number"}),
    "billing_details": frozenset({"address", "email", "name", "phone", "tax_id"}),
    "address": frozenset({"city", "country", "line1", "line2", "postal_code", "state"}),
}
"""The documented fields of parameters that are objects."""

EXPANDABLE: dict[str, frozenset[str]] = {
    kind: frozenset(names.split())
    for kind, names in {
        "payment_intent": "application customer latest_charge on_behalf_of payment_method payment_record review",
        "charge": (
            "application application_fee balance_transaction customer failure_balance_transaction on_behalf_of "
            "payment_intent refunds review source_transfer transfer"
        ),
        "refund": (
            "balance_transaction charge customer failure_balance_transaction payment_intent payment_method "
            "source_transfer_reversal transfer_reversal"
        ),
        "balance_transaction": "source",
        "payout": (
            "application_fee balance_transaction destination failure_balance_transaction original_payout reversed_by"
        ),
        "payment_method": "customer",
        "customer": "default_source test_clock",
        "checkout.session": "customer invoice line_items payment_intent payment_link setup_intent subscription",
        "price": "product",
        "": "default_payment_method payment_method",
    }.items()
}
"""What may be expanded of an object, and (``""``) of what is a part of one."""

_CURRENCIES = (
    "usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd cad cdf chf "
    "clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl hrk htg huf idr "
    "ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur mvr "
    "mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd "
    "shp sle sos srd std szl thb tjs tnd top try ttd twd tzs uah ugx uyu uzs vnd vuv wst xaf xcd xof xpf yer zar zmw"
)
CURRENCIES = _CURRENCIES.split()
_METHOD_TYPES = (
    "acss_debit affirm afterpay_clearpay alipay alma amazon_pay au_becs_debit bacs_debit bancontact billie bizum "
    "blik boleto card card_present cashapp crypto custom customer_balance eps fpx giropay grabpay ideal "
    "interac_present kakao_pay klarna konbini kr_card link mb_way mobilepay multibanco naver_pay nz_bank_account "
    "oxxo p24 pay_by_bank payco paynow paypal payto pix promptpay revolut_pay samsung_pay satispay scalapay "
    "sepa_debit sofort sunbit swish twint upi us_bank_account wechat_pay zip"
)
METHOD_TYPES = frozenset(_METHOD_TYPES.split())
MAX_AMOUNT = 99_999_999
MINIMUMS = {
    "usd": 50, "aed": 200, "aud": 50, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250, "eur": 50, "gbp": 30,
    "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50, "pln": 200,
    "ron": 200, "sek": 300, "sgd": 50, "thb": 1000,
}  # fmt: skip
"""The least charge in the smallest unit, for the currencies that Stripe lists."""

_WITHOUT_CENTS = "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf"
_WHOLE = frozenset(_WITHOUT_CENTS.split())
_SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "krw": "₩", "hkd": "HK$", "aud": "A$", "cad": "CA$"}


def money(amount: int, currency: str) -> str:
    """An amount of the smallest unit as Stripe's messages write it, such as ``$1,234.50``."""
    number = f"{amount:,}" if currency in _WHOLE else f"{amount / 100:,.2f}"
    return f"{_SYMBOLS.get(currency, currency.upper() + ' ')}{number}"


def one_of(choices: tuple[str, ...]) -> str:
    """``a, b, or c``."""
    *first, last = choices
    return f"{', '.join(first)}, or {last}" if len(first) > 1 else " or ".join(choices)
