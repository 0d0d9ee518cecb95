"""Every refusal has a status; answers are problem+json and tell nothing about the inside."""

import asyncio
import importlib
import json
import pkgutil
from types import ModuleType

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.types import Scope
from temporalio.service import RPCError, RPCStatusCode

import activities
import commands
import domain
import queries
from api.errors import away, flaws_of, unexpected
from api.problem import MEDIA_TYPE, RETRYABLE, STATUS, Refused, problem_response, status_of
from domain.errors import Flaw, Problem, Rejected

SCOPE: Scope = {"type": "http", "method": "GET", "path": "/", "state": {"request_id": "r-1"}}


def every_refusal() -> set[type[Rejected]]:
    for room in (domain, queries, commands, activities):
        import_all(room)
    found = {Rejected}
    while True:
        more = {sub for one in found for sub in one.__subclasses__()} | found
        if more == found:
            return found
        found = more


def import_all(room: ModuleType) -> None:
    for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
        importlib.import_module(module.name)


def test_every_refusal_of_the_house_has_a_status_of_its_own_row() -> None:
    missing = sorted(f"{each.__name__}: {each.code}" for each in every_refusal() if each.code not in STATUS)
    assert missing == []


def test_every_status_is_an_error_and_only_busy_or_away_is_retryable() -> None:
    assert all(400 <= status < 600 for status in STATUS.values())
    assert STATUS.keys() >= RETRYABLE
    assert all(STATUS[code] in {409, 503} for code in RETRYABLE)


def test_an_unknown_stored_code_is_a_conflict() -> None:
    assert status_of("something_that_a_later_release_says") == 409


def test_a_problem_has_all_members_and_the_servers_figures() -> None:
    flaw = Flaw("/sections/0/items/1/sku", "unknown_sku", "no such SKU")
    problem = Problem("total_mismatch", "the total is off", {"total": 57700}, (flaw,))
    response = problem_response(SCOPE, problem)
    assert (response.status_code, response.media_type) == (409, MEDIA_TYPE)
    assert json.loads(bytes(response.body)) == {
        "type": "/problems/total_mismatch",
        "title": "Total mismatch",
        "status": 409,
        "detail": "the total is off",
        "code": "total_mismatch",
        "errors": [{"pointer": flaw.pointer, "code": flaw.code, "detail": flaw.detail}],
        "request_id": "r-1",
        "retryable": False,
        "figures": {"total": 57700},
    }


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        TimeoutError(),
        PoolTimeout(),
        RPCError("gone", RPCStatusCode.UNAVAILABLE, b""),
        RPCError("late", RPCStatusCode.DEADLINE_EXCEEDED, b""),
        RuntimeError("Failed client connect: nobody there"),
        DBAPIError("SELECT 1", None, Exception("closed"), connection_invalidated=True),
    ],
)
def test_what_is_away_is_answered_as_retryable(error: Exception) -> None:
    response = problem_response(SCOPE, unexpected(error))
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert json.loads(bytes(response.body))["retryable"] is True


@pytest.mark.parametrize(
    "error",
    [
        ValueError("secret"),
        RuntimeError("secret"),
        RPCError("secret", RPCStatusCode.INVALID_ARGUMENT, b""),
        DBAPIError("SELECT secret", None, Exception("syntax")),
    ],
)
def test_a_bug_is_answered_without_details(error: Exception) -> None:
    response = problem_response(SCOPE, unexpected(error))
    assert response.status_code == 500
    assert b"secret" not in bytes(response.body)


def test_a_refusal_is_not_an_outage() -> None:
    assert not away(Refused("not_found", "no"))
    assert not away(asyncio.InvalidStateError())


@pytest.mark.parametrize(
    ("loc", "kind", "body", "pointer"),
    [
        (("body", "all", 0, "items", 1, "n"), "int_type", {"all": [{"items": [{}, {"n": ""}]}]}, "/all/0/items/1/n"),
        (("body", "actions", 0, "add_item", "sku"), "missing", {"actions": [{"type": "add_item"}]}, "/actions/0/sku"),
        (("body", "price", "MoneyIn", "amount"), "int_type", {"price": {"amount": "x"}}, "/price/amount"),
        (("body", "price", "constrained-int"), "int_type", {"price": "x"}, "/price"),
        (("body", "a/b~c"), "extra_forbidden", {"a/b~c": 1}, "/a~1b~0c"),
        (("body", 17), "json_invalid", "{", ""),
        (("body",), "missing", None, ""),
        (("query", "limit"), "int_parsing", None, "/query/limit"),
        (("path", "number"), "string_type", None, "/path/number"),
        (("header", "if-match"), "string_type", None, "/headers/if-match"),
    ],
)  # fmt: skip
def test_shape_errors_point_into_the_clients_own_body(
    loc: tuple[str | int, ...], kind: str, body: object, pointer: str
) -> None:
    [flaw] = flaws_of([{"loc": loc, "type": kind, "msg": "wrong", "input": "secret"}], body)
    assert flaw == Flaw(pointer, kind, "wrong")
