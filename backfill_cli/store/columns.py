"""The kinds of column the store has, one function each: what the values mean decides the SQL type.

Owns the mapping from a meaning (a logical date, an instant, a word, a count) to a column that SQLite's STRICT tables
and PostgreSQL both take. Every function wants a sentence saying what the column holds; it becomes the column's
description and comment, so that `models.py` is the store's data dictionary.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Integer, Text
from sqlmodel import Field

# STRICT tables know INTEGER and TEXT alone; SQLite's INTEGER holds 64 bits, PostgreSQL needs BIGINT for that.
Wide = BigInteger().with_variant(Integer(), "sqlite")


def key(meaning: str, *, given: bool = False) -> Any:
    """Return a small integer that stands for a name: handed out by the database, or given from elsewhere."""
    return _field(Wide, meaning, primary_key=True, autoincrement=False if given else "auto")


def link(meaning: str, references: str) -> Any:
    """Return an integer that points to another table's key."""
    return _field(Wide, meaning, foreign_key=references)


def seconds(meaning: str, *, primary_key: bool = False, optional: bool = False) -> Any:
    """Return a logical date or the end of an interval: epoch seconds, UTC."""
    return _field(Wide, f"{meaning} (epoch seconds)", primary_key=primary_key, nullable=optional, autoincrement=False)


def instant(meaning: str, *, optional: bool = False) -> Any:
    """Return a moment on the wall clock: epoch microseconds, UTC."""
    return _field(Wide, f"{meaning} (epoch microseconds)", nullable=optional)


def count(meaning: str, *, primary_key: bool = False, optional: bool = False) -> Any:
    """Return a plain number, or a pointer that the writer vouches for (see models.py on foreign keys)."""
    return _field(Wide, meaning, primary_key=primary_key, nullable=optional, autoincrement=False)


def word(meaning: str, *, primary_key: bool = False, unique: bool = False, optional: bool = False) -> Any:
    """Return a state, an id or a name: the word users see."""
    return _field(Text, meaning, primary_key=primary_key, unique=unique, nullable=optional)


def text(meaning: str, *, optional: bool = False, unique: bool = False) -> Any:
    """Return a sentence for people."""
    return _field(Text, meaning, nullable=optional, unique=unique)


def document(meaning: str, *, optional: bool = False) -> Any:
    """Return a JSON text."""
    return _field(Text, f"{meaning} (JSON)", nullable=optional)


def _field(
    kind: Any,
    meaning: str,
    *,
    primary_key: bool = False,
    nullable: bool = False,
    unique: bool = False,
    foreign_key: str | None = None,
    autoincrement: bool | str | None = None,
) -> Any:
    extra: dict[str, Any] = {"comment": meaning}
    if autoincrement is not None:
        extra["autoincrement"] = autoincrement
    options: dict[str, Any] = {"foreign_key": foreign_key} if foreign_key else {}
    return Field(
        default=None if nullable else ...,
        sa_type=kind,
        primary_key=primary_key,
        nullable=nullable,
        unique=unique,
        description=meaning,
        sa_column_kwargs=extra,
        **options,
    )
