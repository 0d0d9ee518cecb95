"""Adyen's settlement details reports: by header, exact, in constant memory, whole, and from Adyen's own place alone."""

import tracemalloc
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import date

import httpx
import pytest
from typing_extensions import override

from domain.reconciliation import LineKind
from gateways.adyen.adapter import AdyenGateway, reports_beside
from gateways.adyen.settlement import read_report
from gateways.gateway import (
    GatewayUnavailable,
    MisconfiguredGateway,
    SettlementLine,
    UnreadableSettlement,
    WebhookEvent,
)
from tests.gateways.rigs.adyen_said import ACCOUNT, MODIFICATION, PSP, Answering, KnownEvents, an_event

ROW = {
    "Merchant Account": "TestMerchant",
    "Psp Reference": PSP,
    "Merchant Reference": "ref-000001",
    "Creation Date": "2026-11-22 09:30:00",
    "TimeZone": "CET",
    "Type": "Settled",
    "Modification Reference": MODIFICATION,
    "Gross Currency": "EUR",
    "Gross Debit (GC)": "",
    "Gross Credit (GC)": "31.45",
    "Net Currency": "EUR",
    "Net Debit (NC)": "",
    "Net Credit (NC)": "31.1",
    "Commission (NC)": "0.35",
    "Batch Number": "238",
}


def a_report(*rows: dict[str, str], columns: Sequence[str] = tuple(ROW)) -> Iterator[str]:
    yield ",".join(columns) + "\n"
    for row in rows:
        yield ",".join(row[column] for column in columns) + "\n"


def read_a_report(lines: Iterable[str]) -> Iterator[SettlementLine]:
    return read_report("adyen-a", "TestMerchant", lines)


def test_a_settlement_is_read_by_header_whatever_the_order_of_its_columns() -> None:
    (line,) = read_a_report(a_report(ROW))
    (shuffled,) = read_a_report(a_report(ROW, columns=sorted(ROW, reverse=True)))
    assert line == shuffled
    assert (line.kind, line.gross, line.fee, line.net, line.currency) == (LineKind.CHARGE, 3145, 35, 3110, "EUR")
    assert (line.reference, line.operation_ref, line.merchant_ref) == (PSP, MODIFICATION, "ref-000001")
    assert (line.occurred_at.isoformat(), line.payout_ref) == ("2026-11-22T09:30:00+01:00", "238")


def test_columns_that_a_report_may_lack_or_have_do_not_make_its_lines_other_lines() -> None:
    more = {"Company Account": "Test", "Payment Method": "visa", "Booking Date": "2026-11-23", "Reserved4": "x"}
    (line,) = read_a_report(a_report(ROW))
    (wide,) = read_a_report(a_report(ROW | more, columns=[*more, *ROW]))
    assert line == wide
    (other,) = read_a_report(a_report(ROW | {"Modification Reference": "AFTERWARDS"}))
    assert other.line_id != line.line_id


def test_a_report_of_another_merchant_is_refused_and_names_both() -> None:
    foreign = a_report(ROW, ROW | {"Merchant Account": "Stranger"})
    with pytest.raises(UnreadableSettlement, match=r"line 3 .*'Stranger'.*adyen-a is 'TestMerchant'"):
        list(read_a_report(foreign))
    unnamed = [column for column in ROW if column != "Merchant Account"]
    with pytest.raises(UnreadableSettlement, match="it lacks 'Merchant Account'"):
        list(read_a_report(a_report(ROW, columns=unnamed)))


def test_refunds_payouts_fees_and_other_currencies() -> None:
    empty = dict.fromkeys(("Gross Currency", "Gross Credit (GC)", "Net Credit (NC)", "Commission (NC)"), "")
    rows = [
        ROW | empty | {"Type": "Refunded", "Gross Currency": "EUR", "Gross Debit (GC)": "4", "Net Debit (NC)": "4.10"},
        ROW | empty | {"Type": "MerchantPayout", "Net Debit (NC)": "27.00"},
        ROW | {"Gross Currency": "USD", "Gross Credit (GC)": "40.00"},
        ROW
        | {"Gross Currency": "KRW", "Net Currency": "KRW", "Gross Credit (GC)": "19900.00", "Net Credit (NC)": "19900"},
        ROW | {"Gross Currency": "BHD", "Net Currency": "BHD", "Gross Credit (GC)": "0.105", "Net Credit (NC)": "0.1"},
        ROW | {"Type": "NobodyHasHeardOfIt"},
    ]
    read = [(line.kind, line.gross, line.fee, line.net, line.currency) for line in read_a_report(a_report(*rows))]
    assert read == [
        (LineKind.REFUND, -400, 10, -410, "EUR"),
        (LineKind.PAYOUT, -2700, 0, -2700, "EUR"),
        (LineKind.CHARGE, 3145, 35, 3110, "EUR"),
        (LineKind.CHARGE, 19900, 0, 19900, "KRW"),
        (LineKind.CHARGE, 105, 5, 100, "BHD"),
        ("NobodyHasHeardOfIt", 3145, 35, 3110, "EUR"),
    ]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "empty"),
        (["Psp Reference,Type\n"], "line 1"),
        ([",".join([*ROW, "Type"]) + "\n"], "line 1"),
        ([*a_report(ROW), "PSP,ref"], "line 3"),
        ([*a_report(ROW), "PSP,ref\n"], "line 3"),
        ([*a_report(ROW), "\n"], "line 3"),
        ([*a_report(ROW), '"PSP,ref\n'], "line 3"),
        ([*a_report(ROW), *list(a_report(ROW | {"Net Credit (NC)": "31.105"}))[1:]], "line 3"),
        ([*a_report(ROW), *list(a_report(ROW | {"Net Credit (NC)": "1e3"}))[1:]], "line 3"),
        ([*a_report(ROW | {"TimeZone": "MARS"})], "line 2"),
        ([*a_report(ROW | {"Creation Date": "yesterday"})], "line 2"),
        ([*a_report(ROW | {"Net Currency": "XXX"})], "line 2"),
    ],
)
def test_a_cut_or_misshapen_report_names_its_line(lines: list[str], words: str) -> None:
    with pytest.raises(UnreadableSettlement, match=words):
        list(read_a_report(lines))


def test_a_hundred_thousand_lines_take_constant_memory() -> None:
    list(read_a_report(a_report(ROW)))  # What is loaded once is no memory of the report.
    count, total = 0, 0
    tracemalloc.start()
    for line in read_a_report(_many(100_000)):
        count, total = count + 1, total + line.net
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (count, total) == (100_000, 311_000_000)
    assert peak < 2_000_000


def _many(count: int) -> Iterator[str]:
    yield from a_report()
    for number in range(count):
        yield ",".join((ROW | {"Modification Reference": f"M{number:015d}"}).values()) + "\n"


TODAY = date(2026, 11, 22)


def a_report_event(address: str) -> WebhookEvent:
    return an_event("REPORT_AVAILABLE", None, merchant_ref=None, reason=address)


async def lines_of(adyen: Answering, *events: WebhookEvent) -> list[int]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(adyen)) as client:
        gateway = AdyenGateway(ACCOUNT, client=client, events=KnownEvents(*events))
        return [line.net async for line in gateway.settlement_lines(TODAY)]


async def test_a_days_reports_are_downloaded_once_each() -> None:
    adyen = Answering("".join(a_report(ROW)))
    event = a_report_event("http://pg.test/reports/settlement_detail_report_batch_1.csv")
    other = a_report_event("http://pg.test/reports/payments_accounting_report.csv")
    assert await lines_of(adyen, event, event, other) == [3110]
    (request,) = adyen.requests
    assert request.headers["x-api-key"] == "secret-key"


@pytest.mark.parametrize(
    "address",
    [
        "http://thief.test/settlement_detail_report_batch_1.csv",
        "http://pg.test.thief.test/settlement_detail_report_batch_1.csv",
        "http://pg.test@thief.test/settlement_detail_report_batch_1.csv",
        "http://pg.test/../settlement_detail_report_batch_1.csv",
        "settlement_detail_report_batch_1.csv",
    ],
)
async def test_the_key_is_never_sent_to_another_place(address: str) -> None:
    adyen = Answering("".join(a_report(ROW)))
    with pytest.raises(GatewayUnavailable):
        await lines_of(adyen, a_report_event(address))
    assert adyen.requests == []


async def test_a_report_that_is_not_there_or_not_whole_is_unavailable() -> None:
    event = a_report_event("http://pg.test/settlement_detail_report_batch_1.csv")
    with pytest.raises(GatewayUnavailable):
        await lines_of(Answering("".join(a_report(ROW))))
    for adyen in (Answering("".join(a_report(ROW))[:-1]), Answering("no", status=404), Answering("")):
        with pytest.raises(GatewayUnavailable):
            await lines_of(adyen, event)
    with pytest.raises(MisconfiguredGateway):
        await lines_of(Answering("no", status=401), event)


class Breaking(httpx.AsyncByteStream):
    """A download that breaks off after its first line."""

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield next(a_report(ROW)).encode()
        raise httpx.ReadError("cut")


async def test_a_download_that_breaks_off_is_unavailable() -> None:
    respond = httpx.MockTransport(lambda _request: httpx.Response(200, stream=Breaking()))
    event = a_report_event("http://pg.test/settlement_detail_report_batch_1.csv")
    async with httpx.AsyncClient(transport=respond) as client:
        gateway = AdyenGateway(ACCOUNT, client=client, events=KnownEvents(event))
        with pytest.raises(GatewayUnavailable):
            [line async for line in gateway.settlement_lines(TODAY)]


def test_reports_lie_in_the_customer_area() -> None:
    assert reports_beside("https://checkout-test.adyen.com") == "https://ca-test.adyen.com"
    assert reports_beside("https://abc-checkout-live.adyenpayments.com/checkout") == "https://ca-live.adyen.com"
    assert reports_beside("http://127.0.0.1:1/adyen/a") == "http://127.0.0.1:1/adyen/a"
