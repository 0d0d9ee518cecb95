"""What the page says, in English and Korean."""

from collections.abc import Mapping

from domain.money import exponent_of

LANGUAGES = ("en", "ko")

WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "Pay order",
        "for_order": "Order {number}",
        "for_section": "Delivery {section} of order {number}",
        "to_pay": "To pay",
        "until": "Please pay by {moment}.",
        "goods": "What it is for",
        "shipping": "Shipping",
        "discount": "Discount",
        "credit": "Credit for what you send back",
        "total": "Total",
        "already": "Already paid",
        "returning": "Being given back",
        "asked": "To pay now",
        "plan": "Payment plan",
        "part": "Part {n}",
        "part_by": "Part {n}, by {moment}",
        "part_paid": "paid",
        "part_due": "due",
        "part_upcoming": "upcoming",
        "of_it_paid": "{amount} of it paid",
        "how_much": "How much would you like to pay?",
        "next_part": "The next part: {amount}",
        "all_left": "All that is left: {amount}",
        "how": "How would you like to pay?",
        "card": "Card",
        "transfer": "Bank transfer",
        "virtual_account": "Deposit to a bank account",
        "pay": "Pay {amount}",
        "pay_chosen": "Pay",
        "page": "You will pay on the page of our payment partner and come back here.",
        "paid_title": "Thank you",
        "paid": "This is paid. We are preparing your order.",
        "over_title": "This link is no longer valid",
        "over": "The request has expired or was canceled. Whatever was paid for it is given back.",
        "busy_title": "We are checking your payment",
        "busy": "This usually takes a few seconds. This page looks again by itself; you may also close it.",
        "again": "Look again",
        "go_on_title": "Your payment is waiting for you",
        "go_on": "Continue on the page of our payment partner.",
        "go_on_button": "Continue",
        "deposit_title": "Please deposit",
        "bank": "Bank",
        "account": "Account",
        "holder": "Account holder",
        "deposit_amount": "Amount",
        "deposit_by": "By",
        "deposit_note": "Deposit exactly this amount. We are told as soon as it has arrived.",
        "declined_title": "Not accepted",
        "declined": "The last payment was not accepted, and nothing was charged for it. {reason}",
        "declined_general": "Please try another card or another way to pay, or ask your bank or card issuer.",
        "declined_funds": "There was not enough money or credit left for it. Please try another card or way to pay.",
        "declined_expired_card": "The card has expired. Please use another one.",
        "declined_details": "The card or account details were not right. Please check them and try again.",
        "declined_identity": "It was not confirmed that the payment was yours. Please try again.",
        "declined_canceled": "It was canceled before it was complete. You can try again.",
        "declined_late": "The time for it was over. You can try again.",
        "declined_instalments": "The card does not take these instalments. Please choose others or another card.",
        "declined_kind": "This card or account cannot be used for it. Please try another one or another way to pay.",
        "declined_amount": "This amount cannot be paid in this way. Please choose another way to pay.",
        "declined_issuer": "Please ask your card issuer about it, or try another card.",
        "declined_technical": "It could not be carried out at that moment. Please try again in a little while.",
        "changed": "Something changed while the page was open. Nothing was charged just now; this is what is due.",
        "no_way_title": "Payment is not possible right now",
        "no_way": "Please try again in a little while, or contact the shop.",
        "unknown_title": "Unknown link",
        "unknown": "Please check the address, or ask the shop for a new link.",
        "slow_title": "One moment, please",
        "slow": "This page was opened very often. Please wait a minute.",
        "language": "한국어",
    },
    "ko": {
        "title": "주문 결제",
        "for_order": "주문 {number}",
        "for_section": "주문 {number}의 배송 {section}",
        "to_pay": "결제 금액",
        "until": "{moment}까지 결제해 주세요.",
        "goods": "주문 내역",
        "shipping": "배송비",
        "discount": "할인",
        "credit": "반품 상품 차감액",
        "total": "합계",
        "already": "결제 완료 금액",
        "returning": "환불 진행 중",
        "asked": "지금 결제할 금액",
        "plan": "분할 결제 일정",
        "part": "{n}회차",
        "part_by": "{n}회차, {moment}까지",
        "part_paid": "결제 완료",
        "part_due": "결제 대기",
        "part_upcoming": "결제 예정",
        "of_it_paid": "{amount} 결제 완료",
        "how_much": "결제할 금액을 선택해 주세요",
        "next_part": "이번 회차: {amount}",
        "all_left": "남은 금액 전체: {amount}",
        "how": "결제 수단을 선택해 주세요",
        "card": "카드",
        "transfer": "계좌이체",
        "virtual_account": "가상계좌 입금",
        "pay": "{amount} 결제하기",
        "pay_chosen": "결제하기",
        "page": "결제 대행사의 페이지에서 결제한 뒤 이 페이지로 돌아옵니다.",
        "paid_title": "감사합니다",
        "paid": "결제가 완료되었습니다. 주문을 준비하고 있습니다.",
        "over_title": "더 이상 사용할 수 없는 링크입니다",
        "over": "결제 요청이 만료되었거나 취소되었습니다. 결제하신 금액이 있으면 돌려드립니다.",
        "busy_title": "결제를 확인하고 있습니다",
        "busy": "보통 몇 초면 끝납니다. 페이지가 자동으로 다시 확인하며, 닫으셔도 됩니다.",
        "again": "다시 확인하기",
        "go_on_title": "결제가 기다리고 있습니다",
        "go_on": "결제 대행사의 페이지에서 계속해 주세요.",
        "go_on_button": "계속하기",
        "deposit_title": "입금해 주세요",
        "bank": "은행",
        "account": "계좌번호",
        "holder": "예금주",
        "deposit_amount": "금액",
        "deposit_by": "입금 기한",
        "deposit_note": "정확한 금액을 입금해 주세요. 입금되면 바로 확인됩니다.",
        "declined_title": "승인되지 않음",
        "declined": "지난 결제가 승인되지 않았으며, 그 결제로 청구된 금액은 없습니다. {reason}",
        "declined_general": "다른 카드나 다른 결제 수단을 이용하시거나 카드사 또는 은행에 문의해 주세요.",
        "declined_funds": "잔액이나 한도가 부족했습니다. 다른 카드나 다른 결제 수단을 이용해 주세요.",
        "declined_expired_card": "유효기간이 지난 카드입니다. 다른 카드를 이용해 주세요.",
        "declined_details": "카드 또는 계좌 정보가 올바르지 않았습니다. 확인한 뒤 다시 시도해 주세요.",
        "declined_identity": "본인 인증이 완료되지 않았습니다. 다시 시도해 주세요.",
        "declined_canceled": "결제가 완료되기 전에 취소되었습니다. 다시 결제하실 수 있습니다.",
        "declined_late": "결제할 수 있는 시간이 지났습니다. 다시 결제하실 수 있습니다.",
        "declined_instalments": "이 카드로는 선택한 할부를 이용할 수 없습니다. 다른 할부나 다른 카드를 선택해 주세요.",
        "declined_kind": "이 카드나 계좌로는 결제할 수 없습니다. 다른 카드나 다른 결제 수단을 이용해 주세요.",
        "declined_amount": "이 결제 수단으로는 결제할 수 없는 금액입니다. 다른 결제 수단을 이용해 주세요.",
        "declined_issuer": "카드사에 문의하시거나 다른 카드를 이용해 주세요.",
        "declined_technical": "일시적으로 결제를 처리할 수 없었습니다. 잠시 후 다시 시도해 주세요.",
        "changed": "그사이 내용이 바뀌었습니다. 방금 청구된 금액은 없습니다. 현재 결제할 금액은 아래와 같습니다.",
        "no_way_title": "지금은 결제할 수 없습니다",
        "no_way": "잠시 후 다시 시도하시거나 상점에 문의해 주세요.",
        "unknown_title": "알 수 없는 링크입니다",
        "unknown": "주소를 확인하시거나 상점에 새 링크를 요청해 주세요.",
        "slow_title": "잠시만 기다려 주세요",
        "slow": "이 페이지를 너무 자주 열었습니다. 1분 뒤에 다시 시도해 주세요.",
        "language": "English",
    },
}

_REASONS: Mapping[str, str] = {
    "funds": "insufficient_funds limit_exceeded",
    "expired_card": "expired_instrument",
    "details": "invalid_instrument",
    "identity": "authentication_failed authentication_required",
    "canceled": "abandoned canceled canceled_by_customer cancelled",
    "late": "expired",
    "instalments": "instalments",
    "kind": "merchant_not_allowed not_permitted not_supported",
    "amount": "amount amount_exceeded amount_limit amount_not_allowed amount_too_small",
    "issuer": "refer_to_issuer",
    "technical": "no_gateway technical unavailable",
    "general": (
        "amount_mismatch blocked blocked_instrument currency_mismatch decided_by_a_person duplicate forbidden fraud "
        "generic lost_or_stolen reference_mismatch revoked state unlisted"
    ),
}
REASONS: Mapping[str, str] = {category: name for name, listed in _REASONS.items() for category in listed.split()}
"""What the customer reads for each category of a decline.

Whoever holds the link may not be the card's owner: that a card is lost, stolen, blocked or suspected is not said, as
the card schemes want it, and neither is anything in the words of a PG.
"""


def reason_of(category: str) -> str:
    """The name in `WORDS` of what is said about a decline; of one that is not known, something general."""
    return f"declined_{REASONS.get(category, 'general')}"


def language_of(wanted: str | None, accepted: str) -> str:
    """The language that the customer chose, else the browser's first that we speak, else English."""
    if wanted in LANGUAGES:
        return str(wanted)
    for part in accepted.split(","):
        word = part.split(";")[0].strip().lower()[:2]
        if word in LANGUAGES:
            return word
    return LANGUAGES[0]


def money(amount: int, currency: str) -> str:
    """An amount in minor units as people read it."""
    exponent = exponent_of(currency)
    units, rest = divmod(abs(amount), 10**exponent)
    text = f"{units:,}" + (f".{rest:0{exponent}d}" if exponent else "")
    return f"{'-' if amount < 0 else ''}{text} {currency}"
