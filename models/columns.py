"""Kinds of columns that many tables share, so that each is spelled one way."""

from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, DateTime
from sqlmodel import Field, SQLModel

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
SQLModel.metadata.naming_convention = NAMING


def key() -> Any:
    """Primary key: UUIDv7, made by the application."""
    return Field(primary_key=True)


def minor(default: int = 0) -> Any:
    """Minor units of the order's currency."""
    return Field(default=default, sa_type=BigInteger, nullable=False)


def moment() -> Any:
    """A time that is always there; UTC."""
    return Field(sa_type=DateTime(timezone=True), nullable=False)


def maybe_moment() -> Any:
    """A time that may not have come; UTC."""
    return Field(default=None, sa_type=DateTime(timezone=True), nullable=True)


def reference(target: str, *, nullable: bool = False, index: bool = True) -> Any:
    """Foreign key."""
    if nullable:
        return Field(default=None, foreign_key=target, nullable=True, index=index)
    return Field(foreign_key=target, nullable=False, index=index)


def one_of(column: str, states: type[StrEnum]) -> CheckConstraint:
    """The column holds a state of its axis and nothing else."""
    words = ", ".join(f"'{s.value}'" for s in states)
    return CheckConstraint(f"{column} IN ({words})", name=f"{column}_known")


def check(name: str, rule: str) -> CheckConstraint:
    """A named rule on a row."""
    return CheckConstraint(rule, name=name)
