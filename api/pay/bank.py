"""Names of Korean banks. A PG may name the bank of a deposit by its code alone, which tells a customer nothing.

The codes are those of the Korea Financial Telecommunications and Clearings Institute, which PGs write with two digits
(20) or three (020); 06 is an older code of Kookmin Bank that is still in use.
"""

from collections.abc import Mapping

_DIGITS = 3
BANKS: Mapping[str, Mapping[str, str]] = {
    "002": {"en": "KDB", "ko": "산업은행"},
    "003": {"en": "IBK", "ko": "기업은행"},
    "004": {"en": "KB Kookmin Bank", "ko": "국민은행"},
    "006": {"en": "KB Kookmin Bank", "ko": "국민은행"},
    "007": {"en": "Suhyup Bank", "ko": "수협은행"},
    "011": {"en": "NH Nonghyup Bank", "ko": "농협은행"},
    "012": {"en": "Local Nonghyup", "ko": "지역농축협"},
    "020": {"en": "Woori Bank", "ko": "우리은행"},
    "023": {"en": "SC First Bank", "ko": "SC제일은행"},
    "027": {"en": "Citibank Korea", "ko": "한국씨티은행"},
    "031": {"en": "iM Bank", "ko": "iM뱅크"},
    "032": {"en": "Busan Bank", "ko": "부산은행"},
    "034": {"en": "Gwangju Bank", "ko": "광주은행"},
    "035": {"en": "Jeju Bank", "ko": "제주은행"},
    "037": {"en": "Jeonbuk Bank", "ko": "전북은행"},
    "039": {"en": "Kyongnam Bank", "ko": "경남은행"},
    "045": {"en": "MG Saemaul", "ko": "새마을금고"},
    "048": {"en": "Shinhyup", "ko": "신협"},
    "050": {"en": "Savings Bank", "ko": "저축은행"},
    "064": {"en": "Sanlim", "ko": "산림조합"},
    "071": {"en": "Korea Post", "ko": "우체국"},
    "081": {"en": "Hana Bank", "ko": "하나은행"},
    "088": {"en": "Shinhan Bank", "ko": "신한은행"},
    "089": {"en": "K bank", "ko": "케이뱅크"},
    "090": {"en": "Kakao Bank", "ko": "카카오뱅크"},
    "092": {"en": "Toss Bank", "ko": "토스뱅크"},
}


def bank_name(stated: str, language: str) -> str:
    """The name of a bank that a PG has stated by its code; anything else is the name already."""
    names = BANKS.get(stated.zfill(_DIGITS)) if stated.isdecimal() else None
    return names[language] if names else stated
