"""Prefer and If-Match are read as their RFCs say."""

import pytest
from starlette.datastructures import Headers

from api.prefer import applied, wait_of
from api.problem import Refused
from api.version import etag, refuse_stale


@pytest.mark.parametrize(
    ("given", "wait"),
    [
        (["wait=5"], 5),
        (["wait=0"], 0),
        (["WAIT=30"], 30),
        ([' respond-async, wait="7"; foo=bar'], 7),
        (["respond-async", "wait=3"], 3),
        (["wait=4, wait=9"], 4),
        (["respond-async"], None),
        ([], None),
    ],
)
def test_a_wait_is_read(given: list[str], wait: int | None) -> None:
    assert wait_of(headers("prefer", given)) == wait


@pytest.mark.parametrize("given", ["wait=31", "wait=-1", "wait=1.5", "wait=", "wait", "wait=abc", "wait=٣", "wait=005"])
def test_a_bad_wait_is_refused(given: str) -> None:
    with pytest.raises(Refused) as refused:
        wait_of(Headers(raw=[(b"prefer", given.encode())]))
    assert refused.value.problem.flaws[0].pointer == "/headers/Prefer"


def test_only_an_asked_wait_is_confirmed() -> None:
    assert applied(5) == {"Preference-Applied": "wait=5"}
    assert applied(None) == {}


@pytest.mark.parametrize("given", ['"7"', "*", '"6", "7"', ' "7" '])
def test_the_current_version_passes(given: str) -> None:
    refuse_stale(headers("if-match", [given]), 7)


def test_no_if_match_passes() -> None:
    refuse_stale(Headers(), 7)


@pytest.mark.parametrize("given", ['"6"', 'W/"7"', '"77"', '""'])
def test_another_version_is_stale(given: str) -> None:
    with pytest.raises(Refused) as refused:
        refuse_stale(headers("if-match", [given]), 7)
    assert refused.value.problem.code == "stale_version"
    assert refused.value.problem.figures == {"current_version": 7}
    assert refused.value.headers == {"ETag": etag(7)}


@pytest.mark.parametrize("given", ["7", '"7', "", '"7" "8"'])
def test_a_misshapen_if_match_is_refused(given: str) -> None:
    with pytest.raises(Refused) as refused:
        refuse_stale(headers("if-match", [given]), 7)
    assert refused.value.problem.code == "invalid_header"


def headers(name: str, values: list[str]) -> Headers:
    return Headers(raw=[(name.encode(), value.encode()) for value in values])
