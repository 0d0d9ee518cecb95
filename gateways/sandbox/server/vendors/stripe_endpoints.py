"""Which endpoint of Stripe's API does what: one line each, as in its reference."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateways.sandbox.server.vendors.stripe_book import Book

Json = dict[str, Any]
Act = Callable[[str, str, Json, str], Json]
"""account, id of the path or "", parameters and what else the path names, idempotency key -> the object."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``path`` below ``/v1``; ``name``: which parameters it knows; ``fault``: what it is for the sandbox's faults."""

    method: str
    path: str
    name: str
    act: Act
    fault: str


def endpoints(book: Book) -> list[Endpoint]:
    """All of them. The more special path stands before the more general one."""
    return [*_payment_intents(book), *_sessions(book), *_refunds(book), *_charges(book), *_people(book), *_money(book)]


def _payment_intents(book: Book) -> list[Endpoint]:
    at, shelf = "/payment_intents", book.shelf
    return [
        _post(at, "create", lambda a, _, p, k: book.create(a, p, k), "authorize"),
        _get(at, "list_intents", lambda a, _, p, __: book.page(a, p)),
        _search(book, at, "payment_intent"),
        _get(f"{at}/{{id}}", "retrieve", lambda a, i, _, __: shelf.take(a, i, "payment_intent")),
        _post(f"{at}/{{id}}", "update", book.update, "update"),
        _post(f"{at}/{{id}}/confirm", "confirm", book.confirm, "authorize"),
        _post(f"{at}/{{id}}/capture", "capture", book.capture, "capture"),
        _post(f"{at}/{{id}}/cancel", "cancel", book.cancel, "void"),
    ]


def _sessions(book: Book) -> list[Endpoint]:
    at, checkouts = "/checkout/sessions", book.checkouts
    return [
        _post(at, "create_session", lambda a, _, p, __: checkouts.create(a, p), "authorize"),
        _get(at, "list_sessions", lambda a, _, p, __: checkouts.page(a, p)),
        _get(f"{at}/{{id}}", "only_expand", lambda a, i, _, __: checkouts.show(a, i)),
        _post(f"{at}/{{id}}", "update_session", lambda a, i, p, _: checkouts.update(a, i, p), "update"),
        _get(f"{at}/{{id}}/line_items", "list_parts", lambda a, i, p, _: checkouts.list_items(a, i, p)),
        _post(f"{at}/{{id}}/expire", "only_expand", lambda a, i, _, k: checkouts.expire(a, i, k), "neutralize"),
    ]


def _refunds(book: Book) -> list[Endpoint]:
    at, shelf, refunds = "/refunds", book.shelf, book.refunds
    return [
        _post(at, "refund", lambda a, _, p, k: refunds.create(a, p, k), "refund"),
        _get(at, "list_refunds", lambda a, _, p, __: shelf.list_refunds(a, p, f"/v1{at}")),
        _get(f"{at}/{{id}}", "only_expand", lambda a, i, _, __: shelf.take(a, i, "refund")),
        _post(f"{at}/{{id}}", "update_refund", lambda a, i, p, _: refunds.update(a, i, p), "update"),
        _post(f"{at}/{{id}}/cancel", "only_expand", lambda a, i, _, __: refunds.cancel(a, i), "update"),
    ]


def _charges(book: Book) -> list[Endpoint]:
    at, shelf, till, refunds = "/charges", book.shelf, book.till, book.refunds
    of_one = f"{at}/{{charge}}/refunds"
    return [
        _get(at, "list_charges", lambda a, _, p, __: till.list_charges(a, p)),
        _search(book, at, "charge"),
        _get(f"{at}/{{id}}", "only_expand", lambda a, i, _, __: shelf.take(a, i, "charge")),
        _post(f"{at}/{{id}}", "update_charge", lambda a, i, p, _: till.update_charge(a, i, p), "update"),
        _post(f"{at}/{{id}}/capture", "capture_charge", book.capture_charge, "capture"),
        _post(of_one, "refund", lambda a, _, p, k: refunds.create_of(a, p, k), "refund"),
        _get(of_one, "list_parts", lambda a, _, p, __: refunds.page_of(a, p)),
        _get(
            f"{of_one}/{{id}}", "only_expand", lambda a, i, p, _: shelf.take_of(a, "charge", p["charge"], "refund", i)
        ),
    ]


def _people(book: Book) -> list[Endpoint]:
    customers, methods, shelf, people = "/customers", "/payment_methods", book.shelf, book.people
    return [
        _post(customers, "create_customer", lambda a, _, p, __: people.create_customer(a, p), "customer"),
        _get(customers, "list_customers", lambda a, _, p, __: people.list_customers(a, p)),
        _search(book, customers, "customer"),
        _get(f"{customers}/{{id}}", "only_expand", lambda a, i, _, __: shelf.take(a, i, "customer")),
        _post(f"{customers}/{{id}}", "update_customer", lambda a, i, p, _: people.update_customer(a, i, p), "customer"),
        Endpoint(
            "DELETE",
            f"{customers}/{{id}}",
            "only_expand",
            lambda a, i, _, __: people.delete_customer(a, i),
            "customer",
        ),
        _get(f"{customers}/{{id}}/payment_methods", "list_methods", lambda a, i, p, _: people.methods_of(a, i, p)),
        _get(
            f"{customers}/{{customer}}/payment_methods/{{id}}",
            "only_expand",
            lambda a, i, p, _: shelf.take_of(a, "customer", p["customer"], "payment_method", i),
        ),
        _post(methods, "payment_method", lambda a, _, p, __: people.create_method(a, p), "payment_method"),
        _get(methods, "list_methods", lambda a, _, p, __: people.list_methods(a, p)),
        _get(f"{methods}/{{id}}", "only_expand", lambda a, i, _, __: shelf.take(a, i, "payment_method")),
        _post(
            f"{methods}/{{id}}",
            "update_payment_method",
            lambda a, i, p, _: people.update_method(a, i, p),
            "payment_method",
        ),
        _post(f"{methods}/{{id}}/attach", "attach", lambda a, i, p, _: people.attach(a, i, p), "payment_method"),
        _post(f"{methods}/{{id}}/detach", "only_expand", lambda a, i, _, __: people.detach(a, i), "payment_method"),
    ]


def _money(book: Book) -> list[Endpoint]:
    shelf, till, events = book.shelf, book.till, book.events
    lines = ("/balance_transactions", "/balance/history")  # its older name
    return [
        _get("/balance", "only_expand", lambda a, _, __, ___: till.balance(a)),
        *(_get(at, "list_balance", lambda a, _, p, __: till.list_balance(a, p)) for at in lines),
        *(_get(f"{at}/{{id}}", "only_expand", lambda a, i, _, __: till.take_transaction(a, i)) for at in lines),
        _get("/events", "list_events", lambda a, _, p, __: events.page(a, p)),
        _get("/events/{id}", "only_expand", lambda a, i, _, __: shelf.take(a, i, "event")),
        _get("/payouts", "list_payouts", lambda a, _, p, __: book.payouts.page(a, p)),
        _get("/payouts/{id}", "only_expand", lambda a, i, _, __: shelf.take(a, i, "payout")),
        _get("/disputes", "list_disputes", lambda a, _, p, __: till.list_disputes(a, p)),
        _get("/disputes/{id}", "only_expand", lambda a, i, _, __: shelf.take(a, i, "dispute")),
    ]


def _post(path: str, name: str, act: Act, fault: str) -> Endpoint:
    return Endpoint("POST", path, name, act, fault)


def _get(path: str, name: str, act: Act) -> Endpoint:
    return Endpoint("GET", path, name, act, "lookup")


def _search(book: Book, at: str, kind: str) -> Endpoint:
    return _get(f"{at}/search", "search", lambda a, _, p, __: book.shelf.search(a, kind, p, f"/v1{at}/search"))
