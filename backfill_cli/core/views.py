"""What templates see of a DAG, a run, a task, variables and connections: read-only views over plain values.

Owns the views behind `dag dag_run task var conn`. A view names the attributes a template may use (`template_names`);
the sandbox gives out nothing else, so a view may hold what it likes. Their values come from `RunFacts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from backfill_cli.errors import MacroError

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from pendulum import DateTime

    from backfill_cli.core.context import RunFacts


class View:
    """An object whose `template_names`, and nothing else, exist for a template."""

    template_names: ClassVar[frozenset[str]] = frozenset()


def fresh_json(value: Any) -> Any:
    """A deep copy of JSON-like containers: what one task does to its `conf` must not reach the next one."""
    if isinstance(value, Mapping):
        return {key: fresh_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fresh_json(item) for item in value]
    return value


class DagView(View):
    """`dag`: who the run belongs to."""

    template_names = frozenset({"dag_id", "timezone", "start_date"})

    def __init__(self, facts: RunFacts) -> None:
        self.dag_id = facts.dag_id
        self.timezone = facts.timezone
        self._start = facts.dag_start

    @property
    def start_date(self) -> DateTime | None:
        """UTC instant of the DAG's start_date."""
        from backfill_cli.core.macros import instant

        return None if self._start is None else instant(self._start)

    def __repr__(self) -> str:
        return f"<DAG: {self.dag_id}>"


class DagRunView(View):
    """`dag_run`: the run of one data interval, with its `conf`."""

    template_names = frozenset(
        {"dag_id", "run_id", "run_type", "conf", "external_trigger"}
        | {"logical_date", "logical_dates", "execution_date", "data_interval_start", "data_interval_end"}
    )

    def __init__(self, facts: RunFacts) -> None:
        self.dag_id = facts.dag_id
        self.run_id = facts.run_id
        self.run_type = facts.run_type
        self._facts = facts

    @cached_property
    def conf(self) -> dict[str, Any]:
        """The run's conf, a copy of one's own."""
        copy: dict[str, Any] = fresh_json(self._facts.conf)
        return copy

    @property
    def external_trigger(self) -> bool:
        """Whether somebody asked for this run, rather than the schedule."""
        return self.run_type == "manual"

    @property
    def logical_date(self) -> DateTime:
        """Start of the data interval, UTC."""
        from backfill_cli.core.macros import instant

        return instant(self._facts.logical_date)

    @property
    def logical_dates(self) -> list[DateTime]:
        """All dates it works on, ascending, UTC: one, unless it is a batch."""
        from backfill_cli.core.macros import instant

        return [instant(one) for one in self._facts.logical_dates or (self._facts.logical_date,)]

    @property
    def execution_date(self) -> DateTime:
        """The same instant under its old name; prints ISO 8601."""
        from backfill_cli.core.macros import iso_instant

        return iso_instant(self._facts.logical_date)

    @property
    def data_interval_start(self) -> DateTime:
        """Included, UTC."""
        return self.logical_date

    @property
    def data_interval_end(self) -> DateTime:
        """Excluded, UTC."""
        from backfill_cli.core.macros import instant

        return instant(self._facts.data_interval_end)

    def __repr__(self) -> str:
        return f"<DagRun {self.dag_id} @ {self.run_id}>"


class TaskView(View):
    """`task`: the task the template belongs to."""

    template_names = frozenset({"task_id", "dag_id", "retries"})

    def __init__(self, facts: RunFacts) -> None:
        self.task_id = facts.task_id
        self.dag_id = facts.dag_id
        self.retries = facts.max_tries

    def __repr__(self) -> str:
        return f"<Task: {self.task_id}>"


class JsonVariables(Mapping[str, Any]):
    """`var.json.KEY`: the variable read as JSON."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> Any:
        import json

        text = self._values[name]
        try:
            return json.loads(text)
        except ValueError as error:
            # the value itself stays out of the message: it may be a secret
            raise MacroError(
                f"the variable '{name}' is not JSON ({type(error).__name__})",
                hint=f"write var.value.{name}, or mend it",
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<{len(self)} variables>"


class Variables(View):
    """`var.value.KEY` as text, `var.json.KEY` decoded."""

    template_names = frozenset({"value", "json"})

    def __init__(self, values: Mapping[str, str]) -> None:
        self.value = dict(values)
        self.json = JsonVariables(values)

    def __repr__(self) -> str:
        return repr(self.json)


class ConnectionView(View):
    """`conn.NAME`: renders as its URL; the parts are there by Airflow's names."""

    template_names = frozenset(
        {"conn_id", "conn_type", "host", "port", "login", "password", "schema", "extra_dejson", "uri", "get_uri"}
    )

    def __init__(self, name: str, url: str) -> None:
        self.conn_id = name
        self.uri = url

    @cached_property
    def _parts(self) -> SplitResult:
        from urllib.parse import urlsplit

        return urlsplit(self.uri)

    @property
    def conn_type(self) -> str:
        """The URL's scheme without the driver: `postgresql`."""
        return self._parts.scheme.partition("+")[0]

    @property
    def host(self) -> str | None:
        """Host name, lower case."""
        return self._parts.hostname

    @property
    def port(self) -> int | None:
        """Port, None when the URL has none."""
        return self._parts.port

    @property
    def login(self) -> str | None:
        """User name, decoded."""
        from urllib.parse import unquote

        return None if self._parts.username is None else unquote(self._parts.username)

    @property
    def password(self) -> str | None:
        """Password, decoded."""
        from urllib.parse import unquote

        return None if self._parts.password is None else unquote(self._parts.password)

    @property
    def schema(self) -> str:
        """The path without its first slash: the database's name."""
        return self._parts.path.removeprefix("/")

    @property
    def extra_dejson(self) -> dict[str, str]:
        """The query's fields."""
        from urllib.parse import parse_qsl

        return dict(parse_qsl(self._parts.query))

    def get_uri(self) -> str:
        """The URL as configured."""
        return self.uri

    def __str__(self) -> str:
        return self.uri

    def __repr__(self) -> str:
        # a repr lands in logs and messages; the URL may hold a password
        return f"<Connection: {self.conn_id}>"


class Connections(Mapping[str, ConnectionView]):
    """`conn`: the configured connections by name."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._urls = urls

    def __getitem__(self, name: str) -> ConnectionView:
        return ConnectionView(name, self._urls[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._urls)

    def __len__(self) -> int:
        return len(self._urls)

    def __repr__(self) -> str:
        return f"<{len(self)} connections>"
