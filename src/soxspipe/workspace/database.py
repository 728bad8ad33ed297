"""The SQLite file of a workspace: open, check, read, write in transactions. Values are bound."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any

from soxspipe.errors import OutputError, WorkspaceError

FILE_NAME = "soxspipe.db"
SCHEMA_VERSION = 1

#: What the published system writes for "not known".
NO_NUMBER, NO_TEXT = -99.99, "--"

Row = Mapping[str, Any]


class Database:
    """One connection. Use as a context manager; write inside `with database.transaction():`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    def __enter__(self) -> "Database":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. OutputError if the file cannot be written."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise _cannot_write(self.path, error) from error

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query, by column name."""
        return [dict(row) for row in self._connection.execute(sql, values)]

    def execute(self, sql: str, values: Sequence[Any] = ()) -> None:
        """One statement, inside a transaction."""
        self._connection.execute(sql, values)

    def insert(
        self, table: str, rows: Iterable[Row], *, key: Sequence[str] = (), keep: Sequence[str] = ()
    ) -> None:
        """Insert rows that all have the same columns.

        A row that agrees with an old one in the columns `key` overwrites it, except in the columns
        `keep`.
        """
        rows = list(rows)
        if not rows:
            return
        columns = list(rows[0])
        sql = (
            f"INSERT INTO {quoted(table)} ({', '.join(map(quoted, columns))})"  # noqa: S608 (names)
            f" VALUES ({', '.join('?' * len(columns))})"
        )
        if key:
            changed = [quoted(c) for c in columns if c not in (*key, *keep)]
            sets = ", ".join(f"{c} = excluded.{c}" for c in changed)
            sql += f" ON CONFLICT ({', '.join(map(quoted, key))}) DO UPDATE SET {sets}"
        self._connection.executemany(sql, [tuple(row[c] for c in columns) for row in rows])

    def columns(self, table: str) -> tuple[str, ...]:
        """Names of the columns of a table."""
        return tuple(row["name"] for row in self.rows(f"PRAGMA table_info({quoted(table)})"))


def quoted(name: str) -> str:
    """A table or column name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def open_database(path: Path, *, create: bool = False) -> Database:
    """The database at `path`.

    Raises WorkspaceError if there is none (and not `create`), if it is damaged or of another
    version; OutputError if it is locked or cannot be created.
    """
    if not create and not path.is_file():
        raise WorkspaceError(
            f"{path.parent} is not a prepared workspace: it has no {FILE_NAME}",
            hint=f"run: soxspipe prep {path.parent}",
        )
    try:
        connection = sqlite3.connect(path, timeout=30, isolation_level=None)
    except sqlite3.OperationalError as error:
        raise _cannot_write(path, error) from error
    connection.row_factory = sqlite3.Row
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        if empty:
            schema = resources.files("soxspipe.workspace").joinpath("schema.sql")
            connection.executescript(
                f"BEGIN;{schema.read_text(encoding='utf-8')};"
                f"PRAGMA user_version = {SCHEMA_VERSION};COMMIT;"
            )
            version = SCHEMA_VERSION
    except sqlite3.OperationalError as error:
        connection.close()
        raise _cannot_write(path, error) from error
    except sqlite3.DatabaseError as error:
        connection.close()
        raise WorkspaceError(
            f"{path} is damaged: {error}", hint=f"run: soxspipe prep --refresh {path.parent}"
        ) from error
    if version != SCHEMA_VERSION:
        connection.close()
        raise WorkspaceError(
            f"{path} is of format {version}, this soxspipe reads {SCHEMA_VERSION}",
            hint=f"run: soxspipe prep --refresh {path.parent}",
        )
    return Database(path, connection)


def _cannot_write(path: Path, error: sqlite3.OperationalError) -> OutputError:
    return OutputError(
        f"cannot use the database {path}: {error}",
        hint="check that the folder may be written to, is not full, and no other run holds it",
    )
