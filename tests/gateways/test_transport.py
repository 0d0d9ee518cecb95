"""Transport events and HTTP statuses mean what the table says, whatever the vendor."""

from collections.abc import AsyncIterator

import httpx
import pytest
from typing_extensions import override

from domain.gateway import Answer, OperationKind, Outcome
from gateways.gateway import MisconfiguredGateway
from gateways.transport import Reply, Transport, unlisted

CAPTURE, LOOKUP, NEUTRALIZE = OperationKind.CAPTURE, OperationKind.LOOKUP, OperationKind.NEUTRALIZE


class _Torn(httpx.AsyncByteStream):
    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'{"half":'
        raise httpx.ReadError("torn")


async def sent(result: httpx.Response | Exception, kind: OperationKind = CAPTURE) -> Reply | Answer:
    def respond(_request: httpx.Request) -> httpx.Response:
        if isinstance(result, Exception):
            raise result
        return result

    async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as client:
        return await Transport("http://pg.test", client=client).send(kind, "POST", "/x", body=b"{}")


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout])
async def test_what_was_never_sent_was_not_executed(error: type[httpx.RequestError]) -> None:
    answer = await sent(error("no"))
    assert isinstance(answer, Answer)
    assert (answer.outcome, answer.evidence.detail) == (Outcome.NOT_EXECUTED, error.__name__)


@pytest.mark.parametrize("kind", [LOOKUP, NEUTRALIZE])
async def test_a_question_that_was_never_sent_leaves_its_subject_unknown(kind: OperationKind) -> None:
    answer = await sent(httpx.ConnectError("no"), kind)
    assert isinstance(answer, Answer)
    assert answer.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "error",
    [
        httpx.WriteError,
        httpx.WriteTimeout,
        httpx.ReadError,
        httpx.ReadTimeout,
        httpx.RemoteProtocolError,
        httpx.LocalProtocolError,
        httpx.CloseError,
        httpx.DecodingError,
        httpx.ProxyError,
        AttributeError,
    ],
)
async def test_what_broke_on_the_way_is_unknown(error: type[Exception]) -> None:
    answer = await sent(error("no"))
    assert isinstance(answer, Answer)
    assert answer.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(500, json={"error": {"code": "declined"}}),
        httpx.Response(503),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, content=b"\xff\xfe"),
        httpx.Response(200, content=b"[" * 100_000),
        httpx.Response(200, json=["not an object"]),
        httpx.Response(204),
        httpx.Response(302, headers={"location": "http://elsewhere.test"}),
        httpx.Response(409, content=b"busy"),
        httpx.Response(400),
        httpx.Response(200, stream=_Torn()),
    ],
)
async def test_what_cannot_be_read_is_unknown(response: httpx.Response) -> None:
    answer = await sent(response)
    assert isinstance(answer, Answer)
    assert answer.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_credentials_and_routes_are_for_a_person(status: int) -> None:
    with pytest.raises(MisconfiguredGateway):
        await sent(httpx.Response(status, content=b"no"))
    reply = await sent(httpx.Response(status, json={"code": "strange"}))
    assert isinstance(reply, Reply)
    with pytest.raises(MisconfiguredGateway):
        unlisted(reply, "strange")


@pytest.mark.parametrize("status", [400, 402, 409, 418, 422, 429])
async def test_an_unlisted_refusal_is_unknown(status: int) -> None:
    reply = await sent(httpx.Response(status, json={"code": "strange"}))
    assert isinstance(reply, Reply)
    assert unlisted(reply, "strange").outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("url", ["ftp://pg.test", "pg.test", "http://pg.test:port"])
async def test_an_address_that_cannot_be_called_is_for_a_person(url: str) -> None:
    transport = Transport(url)
    with pytest.raises(MisconfiguredGateway):
        await transport.send(CAPTURE, "POST", "/x")
    await transport.close()


async def test_a_reply_tells_its_evidence() -> None:
    reply = await sent(httpx.Response(201, json={}, headers={"Request-Id": "r1", "Idempotent-Replayed": "true"}))
    assert isinstance(reply, Reply)
    evidence = reply.evidence("seen")
    assert (evidence.http_status, evidence.request_id, evidence.replayed, evidence.detail) == (201, "r1", True, "seen")


@pytest.mark.parametrize("value", ["", " key", "key\n", "k\x00y", "schl\u00fcssel"])
def test_a_key_that_http_cannot_carry_is_for_a_person(value: str) -> None:
    with pytest.raises(MisconfiguredGateway, match="X-Key"):
        Transport("http://pg.test", headers={"X-Key": value})
