"""Toss Payments' codes of institutions: requests name one by number, in English or in Korean; answers by number.

After docs.tosspayments.com, "기관 코드". A line: number, English, Korean and what else the list has called it.
"""

_BANK_CODES = """
02 KDBBANK 산업
03 IBK 기업
06 KOOKMIN 국민
07 SUHYEOP 수협
11 NONGHYEOP 농협
12 LOCALNONGHYEOP 단위농협
20 WOORI 우리
23 SC SC제일
27 CITI 씨티
30 SUHYEOPLOCALBANK 수협중앙회
31 DAEGUBANK 대구 iM뱅크
32 BUSANBANK 부산
34 GWANGJUBANK 광주
35 JEJUBANK 제주
37 JEONBUKBANK 전북
39 KYONGNAMBANK 경남
45 SAEMAUL 새마을 새마을금고
48 SHINHYEOP 신협
50 SAVINGBANK 저축
54 HSBC
60 BOA
64 SANLIM 산림 산림조합
71 POST 우체국
81 HANA 하나
88 SHINHAN 신한
89 KBANK 케이 케이뱅크
90 KAKAOBANK 카카오 카카오뱅크
92 TOSSBANK 토스 토스뱅크
"""
_SECURITIES_CODES = """
S0 YUANTA_SECURITES 유안타증권
S2 SHINHAN_SECURITIES 신한금융투자 SHINHAN_INVESTMENT
S3 SAMSUNG_SECURITIES 삼성증권
S4 KB_SECURITIES KB증권
S5 MIRAE_ASSET_SECURITIES 미래에셋증권
S6 KOREA_INVESTMENT_AND_SECURITIES 한국투자증권
S8 KYOBO_SECURITIES 교보증권
S9 HI_INVESTMENT_AND_SECURITIES 하이투자증권 아이엠증권
SA HYUNDAI_MOTOR_SECURITIES 현대차증권
SB KIWOOM 키움증권
SD SK_SECURITIES SK증권
SE DAISHIN_SECURITIES 대신증권
SG HANHWA_INVESTMENT_AND_SECURITIES 한화투자증권
SH HANA_INVESTMENT_AND_SECURITIES 하나금융투자
SI DB_INVESTMENT_AND_SECURITIES DB금융투자
SJ EUGENE_INVESTMENT_AND_SECURITIES 유진투자증권
SK MERITZ_SECURITIES 메리츠증권
SL NH_INVESTMENT_AND_SECURITIES NH투자증권
SM BOOKOOK_SECURITIES 부국 부국증권
SN SHINYOUNG_SECURITIES 신영증권
SO LIG_INVESTMENT_AND_SECURITIES LIG투자 LIG투자증권
SP DAOL_INVESTMENT_AND_SECURITIES KTB투자증권 다올투자증권
SQ KAKAOPAY_SECURITIES 카카오페이증권
SR KOREA_FOSS_SECURITIES 펀드온라인코리아
ST TOSS_SECURITIES 토스증권
"""
_NUMBERS = {
    name: words[0] for words in map(str.split, (_BANK_CODES + _SECURITIES_CODES).splitlines()) for name in words
}
INSTITUTIONS = frozenset(_NUMBERS.values())
"""Where money can be given back to: banks and securities firms."""
ISSUERS = frozenset({"03", "06", "07", "11", "20", "31", "32", "34", "37", "39", "71", "81", "88", "89", "90", "92"})
"""The banks at which a virtual account can be opened."""


def number_of(stated: str) -> str | None:
    """The number of what a request names; None if the list does not have it."""
    return _NUMBERS.get(stated) or _NUMBERS.get(stated.removesuffix("은행"))
