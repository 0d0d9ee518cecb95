"""The columns of every table of an order are the fields of the domain's own type, one for one."""

from dataclasses import fields
from typing import Any

import pytest

from domain.order import COLLECTIONS, HEADER
from models.mapping import HEADER_TABLE, TABLES, table_name


def columns(row: Any) -> set[str]:
    return set(row.__table__.columns.keys())


@pytest.mark.parametrize("kind", list(COLLECTIONS), ids=lambda kind: kind.__name__)
def test_a_table_has_a_column_for_each_field_and_no_other(kind: type[Any]) -> None:
    assert columns(TABLES[COLLECTIONS[kind]]) == {f.name for f in fields(kind)}


def test_the_header_has_a_column_for_each_field_and_no_other() -> None:
    assert columns(HEADER_TABLE) == set(HEADER)


def test_every_collection_has_its_own_table() -> None:
    assert set(TABLES) == set(COLLECTIONS.values())
    names = [table_name(HEADER_TABLE), *(table_name(row) for row in TABLES.values())]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("kind", list(COLLECTIONS), ids=lambda kind: kind.__name__)
def test_what_may_be_absent_in_the_domain_may_be_null_in_the_table_and_nothing_else(kind: type[Any]) -> None:
    table = TABLES[COLLECTIONS[kind]].__table__  # type: ignore[attr-defined]
    optional = {f.name for f in fields(kind) if "None" in str(f.type)}
    assert {c.name for c in table.columns if c.nullable} == optional
