"""Toss Payments' refusals: code, HTTP status and both sentences, as its documents list them."""

from typing_extensions import override

from gateways.sandbox.server.personality import Said

ERRORS: dict[str, tuple[int, str, str]] = {
    "ALREADY_CANCELED_PAYMENT": (400, "이미 취소된 결제 입니다.", "The payment has already been canceled."),
    "ALREADY_PROCESSED_PAYMENT": (
        400,
        "이미 처리된 결제 입니다.",
        "This is a payment that has already been processed.",
    ),
    "ALREADY_REMOVED_BILLING_KEY": (
        400,
        "이미 삭제된 빌링키입니다.",
        "The billing key has already been removed.",
    ),
    "ALREADY_REFUND_PAYMENT": (400, "이미 환불된 결제입니다.", "The payment has already been refunded."),
    "BELOW_MINIMUM_AMOUNT": (
        400,
        "신용카드는 결제금액이 100원 이상, 계좌는 200원이상부터 결제가 가능합니다.",
        "Payment can be made from 100 won or more by credit card, and 200 won or more for account.",
    ),
    "DUPLICATED_ORDER_ID": (
        400,
        "이미 승인 및 취소가 진행된 중복된 주문번호 입니다. 다른 주문번호로 진행해주세요.",
        "This is a duplicate order id that has already been approved or canceled.",
    ),
    "EXCEED_CANCEL_AMOUNT_DISCOUNT_AMOUNT": (
        400,
        "즉시할인금액보다 적은 금액은 부분취소가 불가능합니다.",
        "Partial cancellation below the instant discount is not possible.",
    ),
    "EXCEED_MAX_AMOUNT": (400, "거래금액 한도를 초과했습니다.", "The transaction amount limit has been exceeded."),
    "EXCEED_MAX_CARD_INSTALLMENT_PLAN": (
        400,
        "설정 가능한 최대 할부 개월 수를 초과했습니다.",
        "You have exceeded the maximum number of installment months that can be set.",
    ),
    "EXCEED_MAX_DAILY_PAYMENT_COUNT": (
        400,
        "하루 결제 가능 횟수를 초과했습니다.",
        "You have exceeded the number of daily payments.",
    ),
    "EXCEED_MAX_DUE_DATE": (
        400,
        "가상 계좌의 최대 유효만료 기간을 초과했습니다.",
        "The maximum expiration date of the virtual account has been exceeded.",
    ),
    "EXCEED_MAX_PAYMENT_AMOUNT": (
        400,
        "하루 결제 가능 금액을 초과했습니다.",
        "You have exceeded the amount you can pay per day.",
    ),
    "EXCEED_MAX_VALID_HOURS": (
        400,
        "가상 계좌의 최대 유효시간을 초과했습니다.",
        "The maximum validity time of the virtual account has been exceeded.",
    ),
    "FORBIDDEN_BANK_REFUND_REQUEST": (
        400,
        "고객 계좌가 입금이 되지 않는 상태입니다.",
        "The account takes no deposits.",
    ),
    "INCORRECT_SUCCESS_URL_FORMAT": (400, "잘못된 successUrl 입니다.", "Invalid format: `successUrl`"),
    "INCORRECT_FAIL_URL_FORMAT": (400, "잘못된 failUrl 입니다.", "Invalid format: `failUrl`"),
    "INVALID_API_KEY": (400, "잘못된 시크릿키 연동 정보 입니다.", "Incorrect secret key."),
    "INVALID_BANK": (400, "유효하지 않은 은행입니다.", "It is an Invalid bank."),
    "INVALID_BILL_KEY_REQUEST": (
        400,
        "빌링키 인증이 완료되지 않았거나 유효하지 않은 빌링 거래 건입니다.",
        "Billing key authentication has not been completed or is an invalid billing transaction.",
    ),
    "INVALID_CARD_EXPIRATION": (
        400,
        "카드 정보를 다시 확인해주세요.(유효기간)",
        "Please check the card expiration date information again.",
    ),
    "INVALID_CARD_INSTALLMENT_AMOUNT": (400, "할부금액 잘못 되었습니다.", "The installment amount is incorrect."),
    "INVALID_CARD_LOST_OR_STOLEN": (400, "분실 혹은 도난 카드입니다.", "The card was reported lost or stolen."),
    "INVALID_CARD_NUMBER": (400, "카드번호를 다시 확인해주세요.", "Please check your card number again."),
    "INVALID_DATE": (400, "날짜 데이터가 잘못 되었습니다.", "Invalid date."),
    "INVALID_IDEMPOTENCY_KEY": (
        400,
        "멱등키는 300자 이하여야 합니다.",
        "The idempotency key has at most 300 characters.",
    ),
    "INVALID_ORDER_ID": (
        400,
        "`orderId`는 영문 대소문자, 숫자, 특수문자(-, _) 만 허용합니다. 6자 이상 64자 이하여야 합니다.",
        "The order id must be 6 to 64 upper and lower case alphabets, numbers, special characters (-, _).",
    ),
    "INVALID_ORDER_NAME": (400, "주문 이름은 100자 이하여야 합니다.", "The order name must be 100 characters or less."),
    "INVALID_REFUND_ACCOUNT_INFO": (
        400,
        "환불 계좌번호와 예금주명이 일치하지 않습니다.",
        "Refund account number and account holder name do not match.",
    ),
    "INVALID_REFUND_ACCOUNT_NUMBER": (400, "잘못된 환불 계좌번호입니다.", "Incorrect refund account number."),
    "INVALID_REJECT_CARD": (
        400,
        "카드 사용이 거절되었습니다. 카드사 문의가 필요합니다.",
        "Refer to card issuer/decline.",
    ),
    "INVALID_REQUEST": (400, "잘못된 요청입니다.", "The bad request."),
    "INVALID_STOPPED_CARD": (400, "정지된 카드 입니다.", "This is a suspended card."),
    "INVALID_TEST_CODE": (400, "유효하지 않은 테스트 코드입니다.", "Invalid test code"),
    "NOT_MATCHES_CUSTOMER_KEY": (
        400,
        "빌링 인증 고객키와 결제 요청 고객키가 일치하지 않습니다.",
        "The billing authentication customer key and the payment request customer key do not match.",
    ),
    "NOT_MATCHES_REFUNDABLE_AMOUNT": (400, "잔액 결과가 일치하지 않습니다.", "Balance results do not match."),
    "NOT_REGISTERED_BUSINESS": (400, "등록되지 않은 사업자 번호입니다.", "Unregistered business registration number"),
    "NOT_SUPPORTED_METHOD": (400, "지원되지 않는 결제수단입니다.", "This payment method is not supported."),
    "PAY_PROCESS_ABORTED": (
        400,
        "결제가 취소되었거나 진행되지 않았습니다.",
        "Payment has been canceled or has not been processed.",
    ),
    "PAY_PROCESS_CANCELED": (400, "결제가 사용자에 의해 취소되었습니다.", "Payment has been canceled by the customer."),
    "PROVIDER_ERROR": (
        400,
        "일시적인 오류가 발생했습니다. 잠시 후 다시 시도해주세요.",
        "Temporary error occurred. Please try again later.",
    ),
    "REFUND_REJECTED": (
        400,
        "환불이 거절됐습니다. 결제사에 문의 부탁드립니다.",
        "The refund has been rejected. Please contact the respective payment provider.",
    ),
    "UNAUTHORIZED_KEY": (
        401,
        "인증되지 않은 시크릿 키 혹은 클라이언트 키 입니다.",
        "This is an unauthenticated secret key or client key.",
    ),
    "EXCEED_MAX_REFUND_DUE": (403, "환불 가능한 기간이 초과했습니다.", "The refundable period has been exceeded."),
    "FDS_ERROR": (403, "[토스페이먼츠] 위험거래가 감지되어 결제가 제한됩니다.", "A risky transaction was detected."),
    "FORBIDDEN_CONSECUTIVE_REQUEST": (
        403,
        "반복적인 요청은 허용되지 않습니다. 잠시 후 다시 시도해주세요.",
        "Repetitive requests are not allowed. Please try again in a few minutes.",
    ),
    "FORBIDDEN_REQUEST": (403, "허용되지 않은 요청입니다.", "This request is not allowed."),
    "INCORRECT_BASIC_AUTH_FORMAT": (
        403,
        "잘못된 요청입니다. ':' 를 포함해 인코딩해주세요.",
        "Incorrect basic auth format. Please encode with ':'.",
    ),
    "NOT_ALLOWED_PARTIAL_REFUND": (
        403,
        "에스크로 주문, 현금 카드 결제 등의 사유로 부분 환불이 불가합니다.",
        "Partial refunds are not available for reasons such as escrow or cash payment.",
    ),
    "NOT_ALLOWED_PARTIAL_REFUND_WAITING_DEPOSIT": (
        403,
        "입금 대기중인 결제는 부분 환불이 불가합니다.",
        "Partial refunds are not available while pending deposit.",
    ),
    "NOT_AVAILABLE_BANK": (403, "은행 서비스 시간이 아닙니다.", "Not bank service time."),
    "NOT_AVAILABLE_PAYMENT": (403, "결제가 불가능한 시간대입니다.", "Payment is not possible at this time."),
    "NOT_CANCELABLE_AMOUNT": (403, "취소 할 수 없는 금액 입니다.", "This is a non-cancelable amount."),
    "NOT_CANCELABLE_PAYMENT": (403, "취소 할 수 없는 결제 입니다.", "This is a non-cancelable payment."),
    "REJECT_ACCOUNT_PAYMENT": (403, "잔액부족으로 결제에 실패했습니다.", "Payment failed due to insufficient balance"),
    "REJECT_CARD_COMPANY": (403, "결제 승인이 거절되었습니다.", "Payment confirm is rejected"),
    "REJECT_CARD_PAYMENT": (
        403,
        "한도초과 혹은 잔액부족으로 결제에 실패했습니다.",
        "Payment failed due to exceeding the limit or insufficient balance.",
    ),
    "NOT_FOUND": (404, "존재하지 않는 정보 입니다.", "This information does not exist."),
    "NOT_FOUND_BILLING": (404, "존재하지 않는 빌링 결제 입니다.", "The billing does not exist."),
    "NOT_FOUND_PAYMENT": (404, "존재하지 않는 결제 입니다.", "Not found payment"),
    "NOT_FOUND_PAYMENT_SESSION": (
        404,
        "결제 시간이 만료되어 결제 진행 데이터가 존재하지 않습니다.",
        "Payment session does not exist because the session time has expired.",
    ),
    "IDEMPOTENT_REQUEST_PROCESSING": (
        409,
        "이전 멱등 요청이 처리중입니다.",
        "The previous request with this idempotency key is being processed.",
    ),
    "COMMON_ERROR": (
        500,
        "일시적인 오류가 발생했습니다. 잠시 후 다시 시도해주세요.",
        "Temporary error occurred. Please try again later.",
    ),
    "FAILED_INTERNAL_SYSTEM_PROCESSING": (
        500,
        "내부 시스템 처리 작업이 실패했습니다. 잠시 후 다시 시도해주세요.",
        "Internal system processing operation has failed. Please try again in a few minutes.",
    ),
    "FAILED_METHOD_HANDLING_CANCEL": (
        500,
        "취소 중 결제 시 사용한 결제 수단 처리과정에서 일시적인 오류가 발생했습니다.",
        "An error occurred while processing the payment method used when canceling the payment.",
    ),
    "FAILED_PARTIAL_REFUND": (
        500,
        "은행 점검, 해약 계좌 등의 사유로 부분 환불이 실패했습니다.",
        "Failed partial refund.",
    ),
    "FAILED_PAYMENT_INTERNAL_SYSTEM_PROCESSING": (
        500,
        "결제가 완료되지 않았어요. 다시 시도해주세요.",
        "The payment was not completed. Please try again.",
    ),
    "FAILED_REFUND_PROCESS": (500, "은행 응답시간 지연이나 일시적인 오류로 환불요청에 실패했습니다.", "Failed refund."),
    "UNKNOWN_PAYMENT_ERROR": (
        500,
        "결제에 실패했어요. 같은 문제가 반복된다면 은행이나 카드사로 문의해주세요.",
        "Failed to pay. If the same problem occurs, please contact your bank or credit card company.",
    ),
}
"""code -> HTTP status, Korean and English sentence."""

EXPIRED = {"code": "EXPIRED_PAYMENT", "message": "결제가 만료되었습니다. 다시 시도해주세요."}
"""The ``failure`` of a payment whose time is over."""

OF_DECLINE = {
    "generic_decline": "REJECT_CARD_COMPANY",
    "lost_card": "INVALID_CARD_LOST_OR_STOLEN",
    "insufficient_funds": "REJECT_CARD_PAYMENT",
    "invalid_token": "INVALID_CARD_NUMBER",
    "authentication_failed": "PAY_PROCESS_ABORTED",
}
"""The ledger's word for a decline -> Toss's."""


class TossError(Exception):
    """A request that is answered with an error object; raised before anything is written."""

    def __init__(self, code: str) -> None:
        """``code`` is a key of `ERRORS`."""
        super().__init__(code)
        self.code = code

    @override
    def __str__(self) -> str:
        return self.code


def error(code: str, *, english: bool = False) -> Said:
    """``{"code", "message"}`` with its status."""
    status, korean, translated = ERRORS[code]
    return Said.json(status, {"code": code, "message": translated if english else korean})


def failure(code: str) -> dict[str, str]:
    """The ``failure`` of a payment."""
    return {"code": code, "message": ERRORS[code][1]}
