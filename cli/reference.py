"""`python -m cli reference`: write the pages of `docs/reference/` from the code, so that they cannot lag behind it."""

import inspect
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from activities.reconciliation import LOOK_BACK
from activities.upkeep import ANSWERS_KEPT, RESEND_AFTER
from activities.webhook import FORGOTTEN_AFTER, HINT_AFTER, MATCHED_WITHIN, OVERDUE_AFTER
from cli.refusal import Refusal
from commands.idempotency import LEASE
from contracts.queues import GATEWAY_CALL_TIMEOUT, STORE_STEP_TIMEOUT
from domain import states
from domain.cascade import STUCK_AFTER_LOOKS
from domain.errors import Rejected
from domain.reorder import DIFFERENCE_WAITS
from domain.resolution import (
    GIVE_UP_AFTER,
    LONG_PENDING,
    PENDING_LADDER,
    RETRY_LADDER,
    SLOWLY,
    TAKE_TURNS,
    TO_UNDO,
    UNKNOWN_LADDER,
)
from domain.schedule import LONGEST_SCHEDULE
from domain.states import TABLES, TERMINAL
from wiring.embedded_temporal import RETENTION
from wiring.settings import PREFIX, GatewaySettings, LocalSettings, Settings
from wiring.upkeep import HINTS_EVERY, HOUSEKEEPING_EVERY, RELAY_EVERY
from wiring.workers import GRACE
from workflows.order import RESTART_SECTION_AFTER

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
WRITTEN_BY = "<!-- Written by `python -m cli reference`. Do not edit: a test compares this page with the code. -->"

SPEAKERS = ("queries", "commands", "activities")
"""Rooms that may have refusals of their own beside those of `domain/errors.py`."""

PLAIN = {
    "storage_refused": "A rule of the database itself refused the change; nothing was changed. Only on commands.",
    "gateway_declined": "A PG declined a capture or a void. Only on commands.",
    "refund_incomplete": "No payment is left for the rest of a refund; a person must decide. Only on commands.",
    "bad_request": "The body cannot be read.",
    "unauthenticated": "No key, or one that is unknown or revoked.",
    "scope_missing": "The key lacks the scope of this endpoint.",
    "not_found": "There is nothing at this address.",
    "method_not_allowed": "This address does not take this method.",
    "request_in_progress": "The first request with this Idempotency-Key is still running.",
    "stale_version": "`If-Match` names an older version.",
    "body_too_large": "A body has at most 1 MiB, a webhook 256 KiB, a settlement file 64 MiB.",
    "card_number_not_accepted": "Something in the body looks like a card number; send a token of the PG.",
    "idempotency_key_invalid": "An Idempotency-Key is 1 to 255 visible ASCII characters, once.",
    "idempotency_key_required": "This request needs an Idempotency-Key.",
    "idempotency_key_reused": "This Idempotency-Key was used for another request.",
    "invalid_cursor": "The cursor is not one that this API gave.",
    "invalid_header": "A header such as `Prefer` or `If-Match` is misshapen.",
    "unknown_parameter": "A query parameter that this endpoint does not know.",
    "internal_error": "Something broke on our side; the log has it under the `request_id`.",
    "unavailable": "Postgres or Temporal is away for the moment; send the same request again.",
}
"""Codes without a class: refusals of the API itself, and those that only a command's outcome carries."""


TIMES = (
    ("a PG call without an answer is given up and counts as unknown", GATEWAY_CALL_TIMEOUT),
    ("one try of a database step; it is tried again until it succeeds", STORE_STEP_TIMEOUT),
    ("a worker that is asked to stop lets running calls finish", GRACE),
    ("others with the same Idempotency-Key are told to come back; then they may take over", LEASE),
    ("answers to Idempotency-Keys are kept", ANSWERS_KEPT),
    ("a command that nobody has decided is sent again", RESEND_AFTER),
    ("the workflow Relay looks for such commands, and for events to deliver", RELAY_EVERY),
    ("a webhook event that has not reached its order is sent again", HINT_AFTER),
    ("an order that waits for a PG, and that nobody has touched for so long, is told to look", FORGOTTEN_AFTER),
    ("the same where its payment window is over, or a hold had to be captured, for so long", OVERDUE_AFTER),
    ("the workflow Hints looks for such events and orders", HINTS_EVERY),
    ("a webhook event about no order is matched again; then only a person looks", MATCHED_WITHIN),
    ("the last part of a payment schedule is due at most so long after its checkout", LONGEST_SCHEDULE),
    ("the difference of an exchange is waited for; then the exchange is given up", DIFFERENCE_WAITS),
    ("a movement without a settlement line is looked at", LOOK_BACK),
    ("the workflow Housekeeping forgets old answers and looks for drift", HOUSEKEEPING_EVERY),
    ("a section's workflow that was terminated is started again", RESTART_SECTION_AFTER),
    ("an authorization without an answer becomes manual_review", GIVE_UP_AFTER),
    ("closed workflows stay readable in the Temporal of `make up`", RETENTION),
)


def configure(parser: ArgumentParser) -> None:
    """Where to write; for tests and for looking before overwriting."""
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the pages go; default docs/reference")


def run(arguments: Namespace) -> int:
    """Write every page; says which ones changed."""
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        file = folder / name
        changed = not file.exists() or file.read_text() != text
        file.write_text(text)
        sys.stdout.write(f"{'written' if changed else 'same   '} {file.name}\n")
    return 0


def pages() -> dict[str, str]:
    """Every generated page by its file name. Raises `Refusal` for a refusal that nobody has put into words."""
    return {
        "states.md": _page(_states()),
        "resolution.md": _page(_resolution()),
        "times.md": _page(_times()),
        "settings.md": _page(_settings()),
        "errors.md": _page(_errors()),
    }


def _page(lines: Iterator[str]) -> str:
    return "\n".join([WRITTEN_BY, *lines]).rstrip() + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    cells = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in cells]


def _sentence(thing: type) -> str:
    """The first paragraph of a docstring as one line of Markdown."""
    first = inspect.cleandoc(thing.__doc__ or "").split("\n\n")[0]
    return " ".join(first.split()).replace("``", "`")


def _states() -> Iterator[str]:
    yield from (
        "# States",
        "",
        "Every state and every move, from the tables in `domain/states.py`. A move that is not here is refused with",
        "`illegal_transition`, which names from, to and what is allowed. Staying in a state is never an error.",
        "Nothing leaves a state in **bold**.",
    )
    for axis, table in TABLES.items():
        yield from ("", f"## {axis.__name__}", "", _sentence(axis), "", "```mermaid", "stateDiagram-v2")
        yield "    direction LR"
        for state in table:
            yield from (f"    {state} --> {target}" for target in axis if target in table[state])
        yield from (f"    {state} --> [*]" for state in axis if state in TERMINAL[axis])
        yield from ("```", "")
        rows = [
            [f"**`{state}`**" if not exits else f"`{state}`", ", ".join(f"`{s}`" for s in axis if s in exits) or "-"]
            for state, exits in table.items()
        ]
        yield from _table(["From", "To"], rows)
    yield from (
        "",
        "## Derived statuses",
        "",
        "These have no table: the cascade (`domain/cascade.py`) computes them from items and amounts at every change.",
        "",
    )
    derived = [
        kind
        for kind in vars(states).values()
        if isinstance(kind, type) and issubclass(kind, StrEnum) and kind is not StrEnum and kind not in TABLES
    ]
    yield from _table(
        ["Status", "Values", "What it says"],
        [[kind.__name__, ", ".join(f"`{value}`" for value in kind), _sentence(kind)] for kind in derived],
    )


def _resolution() -> Iterator[str]:
    yield from (
        "# Asking a PG again",
        "",
        "While an operation has no known end, its order asks the PG again, by these ladders of",
        "`domain/resolution.py`. A pause begins when the answer to the step before has been recorded. The last",
        f"{TAKE_TURNS} steps of the first take turns, the last of the others repeats. The signal `look_again` to the",
        "order's workflow ends a pause at once.",
        "",
        "## The outcome is `unknown`",
        "",
    )
    rows = [[str(place), f"{seconds} s", ask.value] for place, (seconds, ask) in enumerate(UNKNOWN_LADDER, start=1)]
    yield from _table(["Step", "Pause before it", "Ask"], rows)
    yield from (
        "",
        "- `send`: the same call with the same key. A PG without idempotency gets a `lookup` instead, and so does any",
        "  other if the call would differ from what was sent before (`domain/fingerprint.py`): it is logged as",
        "  `operation.altered` and stands in the operation's `detail`.",
        "- `lookup`: what became of it? Not found proves nothing: the first request may still be on its way.",
        "- `neutralize`: make sure that it has no effect. Only for authorizations, where the PG can; else `send`.",
        "- After a `neutralize` a replay may tell the past: a PG that can be asked by our reference gets a `lookup`",
        "  instead of a `send`. Where a PG answers cancels later (Adyen), a hold that is there after one is doubted",
        "  for good: it is neutralized once more, and the payment begins again by another attempt.",
        "- A capture, void or refund is sent again at every step: what must happen is asked for until it is answered.",
        f"- After {GIVE_UP_AFTER.days} days an unknown authorization becomes `manual_review`. The asking goes on.",
        "",
        "## The outcome is `pending` or `action_required`",
        "",
        f"Lookups after {_pauses(PENDING_LADDER)} s; after {LONG_PENDING} of them one every {SLOWLY} s. News wakes",
        f"the order at once. What is still `pending` after {STUCK_AFTER_LOOKS} looks, some two weeks, is flagged",
        "(`requires_review`). The asking goes on.",
        "",
        "## Nobody wants the payment any more",
        "",
        f"In turn {', '.join(f'`{ask}`' for ask in TO_UNDO)}, with the pauses of what is pending. Sent again is only a",
        "hold with a token, at a PG that cannot be asked by our reference and knows the key still: it tells by that",
        "alone that the hold never came, and what comes now is released at once. All else is neutralized instead. A",
        "charge there is not sent again for somebody who gave it up: if it never came, it waits for a person.",
        "",
        "## It was provably not executed",
        "",
        "An authorization goes to another account; once all were tried, each that said no more than that it could not",
        "be reached is tried again, at most three times in all. A capture, void or refund is sent again with its key",
        f"after {_pauses(RETRY_LADDER)} s.",
    )


def _times() -> Iterator[str]:
    yield from (
        "# Times",
        "",
        "How long things take at most, or how often they happen. They are constants of the code.",
        "",
    )
    yield from _table(["What", "Time"], [[what, _span(span)] for what, span in TIMES])


def _span(span: timedelta) -> str:
    return (
        f"{span.days} days"
        if span.days > 1
        else f"{span.total_seconds() / 3600:g} h"
        if span.days
        else f"{span.seconds} s"
    )


def _pauses(ladder: Sequence[int]) -> str:
    return f"{', '.join(map(str, ladder))}, then every {ladder[-1]}"


def _settings() -> Iterator[str]:
    yield from (
        "# Settings",
        "",
        "Environment variables, read once at the start of a process. `.env.example` has all of them for copying.",
        "A value that is missing or wrong ends the process with one sentence that names the variable, not its value.",
        "",
        "## Workers and server",
        "",
    )
    local = set(LocalSettings.model_fields)
    yield from _settings_table(Settings, [name for name in Settings.model_fields if name not in local], prefix=PREFIX)
    yield from ("", f"## One PG account in `{PREFIX}GATEWAYS`", "")
    yield from _settings_table(GatewaySettings, list(GatewaySettings.model_fields), prefix=None)
    yield from ("", "## `make up`", "")
    yield from _settings_table(LocalSettings, list(LocalSettings.model_fields), prefix=PREFIX)


def _settings_table(model: type[BaseModel], names: Sequence[str], *, prefix: str | None) -> list[str]:
    schema = model.model_json_schema()["properties"]
    rows = []
    for name in names:
        field = model.model_fields[name]
        shown = f"{prefix}{name.upper()}" if prefix is not None else name
        default = "**must be given**" if field.is_required() else _default(field.default)
        rows.append([f"`{shown}`", _shape(schema[_key(schema, name)]), default, str(field.description)])
    return _table(["Setting", "Shape", "Default", "What it is"], rows)


def _key(schema: Mapping[str, Any], name: str) -> str:
    """The property's name in the schema, where settings stand under their variable's name."""
    return name if name in schema else f"{PREFIX}{name}".lower()


def _default(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`"


def _shape(schema: Mapping[str, Any]) -> str:
    """A JSON schema in a few words."""
    if options := [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]:
        return _shape(options[0])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "pattern" in schema:
        return f"text like `{schema['pattern']}`"
    if schema.get("type") == "integer":
        return f"{schema['minimum']} to {schema['maximum']}" if "minimum" in schema else "integer"
    words = {"boolean": "`true` or `false`", "object": "JSON object"}
    return words.get(str(schema.get("type")), "text")


def _errors() -> Iterator[str]:
    face = import_module("api.problem")  # a table of the face, read only when this page is asked for
    meanings = {**PLAIN, **{kind.code: _sentence(kind) for kind in _refusals()}}
    if missing := [code for code in face.STATUS if code not in meanings]:
        raise Refusal(f"Nobody has said in words what these codes mean: {', '.join(missing)}; see cli/reference.py.")
    yield from (
        "# Errors",
        "",
        "Every error is `application/problem+json` (RFC 9457): `type`, `title`, `status`, `detail`, `code`, `errors`,",
        "`request_id`, `retryable` and, where they help, `figures` with the server's own numbers. Program against",
        "`code`, which is stable; `detail` is for people and may change. A command that was not applied carries the",
        "same object as its `problem`.",
        "",
    )
    rows = []
    for code, status in sorted(face.STATUS.items(), key=lambda row: (row[1], row[0])):
        again = f"yes, after {face.PAUSE[code]} s" if code in face.RETRYABLE else "no"
        rows.append([f"`{code}`", str(status), meanings[code], again])
    yield from _table(["Code", "Status", "What it says", "Same request again"], rows)


def _refusals() -> list[type[Rejected]]:
    """Every kind of refusal in the house, however deep it is derived."""
    for room in SPEAKERS:
        for file in sorted((FOLDER.parents[1] / room).glob("*.py")):
            import_module(f"{room}.{file.stem}" if file.stem != "__init__" else room)
    found: list[type[Rejected]] = [Rejected]
    for kind in found:
        found.extend(kind.__subclasses__())
    return found
