"""The documents say what is there: generated pages are current, and what they name exists."""

import re
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any, cast

import pytest

from api.app import create_app
from cli.__main__ import COMMANDS
from cli.reference import FOLDER, pages

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(chain(ROOT.glob("*.md"), (ROOT / "docs").rglob("*.md")))
IDS = [str(document.relative_to(ROOT)) for document in DOCUMENTS]

APP = create_app(cast("Any", None))
"""The application with nothing to work with: only its routes are looked at."""

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
MAKE = re.compile(r"(?:`|^)(?:\w+=\S+ )*make ([a-z]+)", re.MULTILINE)
TARGET = re.compile(r"^([a-z]+):", re.MULTILINE)
MODULE = re.compile(r"python -m ([a-z_.]+)(?: ([a-z]+))?")
FILE = re.compile(r"`((?:[a-z_]+/)*[a-z_]+\.(?:py|toml|yml|lock))`")
ADDRESS = re.compile(r"\$API(/[^\s\"'`?]+)|`(?:(?:GET|POST|PUT|DELETE) )?(/v1/[^\s`?]+)")
COMMAND = re.compile(r"^command (\S+) ", re.MULTILINE)
MACHINE = re.compile(r"(?<![\w.~}>])/(?:home|root|work|workspace|Users|tmp)/")


@pytest.mark.parametrize("name", pages())
def test_a_generated_page_is_what_the_generator_writes(name: str) -> None:
    assert (FOLDER / name).read_text() == pages()[name], "run `python -m cli reference`"


def test_every_page_of_the_reference_is_generated() -> None:
    assert {file.name for file in FOLDER.iterdir()} == set(pages())


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_every_link_inside_the_project_leads_somewhere(document: Path) -> None:
    links = [link for link in LINK.findall(_prose(document)) if not re.match(r"https?://|mailto:", link)]
    broken = [link for link in links if not _leads_somewhere(document, link)]
    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_every_make_target_that_is_named_exists(document: Path) -> None:
    targets = set(TARGET.findall((ROOT / "Makefile").read_text()))
    assert set(MAKE.findall(document.read_text())) <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_every_command_that_is_named_exists(document: Path) -> None:
    for module, word in MODULE.findall(document.read_text()):
        assert find_spec(module) is not None, module
        if module == "cli" and word:
            assert word in COMMANDS
            assert find_spec(f"cli.{word}") is not None, word


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_every_file_that_is_named_exists(document: Path) -> None:
    assert [name for name in FILE.findall(_prose(document)) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_every_address_that_is_named_is_one_of_the_api(document: Path) -> None:
    if document.parent.name == "gateways":  # Addresses there are the PGs' own.
        return
    text = document.read_text()
    named = {one or other for one, other in ADDRESS.findall(text)} - {"/v1/orders/$N/$1"}
    named |= {f"/v1/orders/$N/{path}" for path in COMMAND.findall(text)}
    assert sorted(address for address in named if not _is_served(address)) == []


def test_the_grid_of_nouns_names_files_that_exist() -> None:
    rows = [row.strip("|").split("|") for row in (ROOT / "README.md").read_text().splitlines() if row.startswith("| ")]
    head = next(row for row in rows if "`contracts/`" in "".join(row))
    rooms = [cell.strip(" `/") for cell in head[1:]]
    grid = [row for row in rows[rows.index(head) + 1 :] if len(row) == len(head)]
    named = [(room, noun) for row in grid for room, cell in zip(rooms, row[1:], strict=True) for noun in _nouns(cell)]
    assert len(named) > 50
    assert [one for one in named if not list((ROOT / one[0]).rglob(f"{one[1]}.py"))] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_no_path_of_one_machine_is_in_a_document(document: Path) -> None:
    assert MACHINE.findall(document.read_text()) == []


def test_the_list_of_decisions_has_every_decision() -> None:
    listed = set(LINK.findall((ROOT / "docs" / "adr" / "README.md").read_text()))
    assert {file.name for file in (ROOT / "docs" / "adr").glob("0*.md")} <= listed


def _nouns(cell: str) -> list[str]:
    return re.findall(r"`([a-z]+)`", cell)


def _is_served(address: str) -> bool:
    """Whether a route takes it; a variable or a placeholder may stand for any one part of an address."""
    patterns = [re.sub(r"\{[^}]+\}", "[^/]+", path) for path in APP.openapi()["paths"]]
    return any(re.fullmatch(pattern, address) for pattern in patterns)


def _prose(document: Path) -> str:
    """The document without its fenced blocks."""
    return FENCE.sub("", document.read_text())


def _leads_somewhere(document: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not anchor or anchor in {_anchor(heading) for heading in HEADING.findall(_prose(target))}


def _anchor(heading: str) -> str:
    """A heading's anchor, as forges build it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
