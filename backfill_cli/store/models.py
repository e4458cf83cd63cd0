"""The tables, as SQLModel classes: every column with what it means and in which unit.

Owns the schema at its latest version; `migrations.py` owns the way there, and a test keeps the two equal. Importing
this module costs a third of a second (SQLModel, pydantic), so no command does it: the queries of `reading.py` and
`writing.py` are plain SQL against these names, and a new SQLite store is made by the numbered steps.

Three ideas keep a task instance small and quick to write:

- DAGs, tasks, versions and backfills have small integer keys; names stand once, in their own table.
- What grows (dag_runs, task_instances, attempts, xcoms, backfill_dates) is clustered: WITHOUT ROWID, on the columns
  it is asked by, so that a range of dates is one walk and there is no second index to keep.
- The only other index on them is partial, on what is unfinished or owned, and nearly empty at rest.

Foreign keys stand where rows are few. The clustered tables get their keys from the writer, which has just looked
them up in the same transaction; checking each again would cost a fifth of the writing time.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Index, MetaData, UniqueConstraint, text
from sqlmodel import SQLModel

from backfill_cli.store import columns as c

STRICT: dict[str, Any] = {"sqlite_strict": True}
# One index for what is unfinished and for what is owned: on the hot path each costs a page a commit.
ACTIVE = "state IN ('queued', 'running') OR owner IS NOT NULL"
CLUSTERED: dict[str, Any] = {"sqlite_strict": True, "sqlite_with_rowid": False}


class Table(SQLModel):
    """What all tables share: their metadata, kept apart from any other SQLModel program in the process."""

    metadata = MetaData()


class Meta(Table, table=True):
    """Facts about the store itself, such as the key its digests are made with."""

    __tablename__ = "meta"
    __table_args__ = (CLUSTERED,)
    name: str = c.word("what the fact is called", primary_key=True)
    value: str = c.text("the fact")


class Dag(Table, table=True):
    """A DAG the store has seen. History belongs to the dag_id, not to the file."""

    __tablename__ = "dags"
    __table_args__ = (STRICT,)
    dag: int = c.key("stands for the DAG in every other table")
    dag_id: str = c.word("the DAG's name", unique=True)
    path: str | None = c.text("the file it was last loaded from; empty for --command", optional=True)
    definition: str | None = c.document("an ad-hoc --command DAG, else empty", optional=True)
    version: int | None = c.count("the dag_versions row it was last loaded as", optional=True)
    digests: int | None = c.count(
        "sum of its dag_runs' digests modulo 2^64, signed; empty before the first", optional=True
    )
    attested: int | None = c.count("how many digests that sum is of", optional=True)
    paused_at: int | None = c.instant("since when the scheduler creates nothing for it", optional=True)


class DagVersion(Table, table=True):
    """One version of a DAG, as it was loaded by some command."""

    __tablename__ = "dag_versions"
    __table_args__ = (UniqueConstraint("dag", "digest"), STRICT)
    version: int = c.key("stands for the version in dag_runs and attempts")
    dag: int = c.link("whose version", "dags.dag")
    digest: str = c.word("the version as people see it")
    tasks: str = c.document("task_id → digest of what it does, in DAG order")
    first_seen_at: int = c.instant("when it was first loaded")


class Task(Table, table=True):
    """A task of any version of a DAG. Keys ascend in DAG order, so clustered tables read back in it."""

    __tablename__ = "tasks"
    __table_args__ = (UniqueConstraint("dag", "task_id"), STRICT)
    task: int = c.key("stands for the task in task_instances, attempts and xcoms")
    dag: int = c.link("whose task", "dags.dag")
    task_id: str = c.word("the task's name")
    first_date: int | None = c.seconds("earliest logical date with an instance of it", optional=True)


class DagRun(Table, table=True):
    """One DAG and one data interval, whoever works on it: the unit of ownership."""

    __tablename__ = "dag_runs"
    __table_args__ = (
        Index("ix_dag_runs_active", "dag", "logical_date", sqlite_where=text(ACTIVE)),
        CLUSTERED,
    )
    dag: int = c.key("which DAG", given=True)
    logical_date: int = c.seconds("start of the data interval", primary_key=True)
    data_interval_end: int = c.seconds("end of the data interval, not part of it")
    run_type: str | None = c.word("who asked first: scheduled or manual; empty stands for backfill", optional=True)
    state: str = c.word("queued, running, success or failed")
    version: int = c.count("the dag_versions row it ran under")
    conf: str | None = c.document("the run's conf; empty stands for {}", optional=True)
    started_at: int | None = c.instant("when its first task began", optional=True)
    ended_at: int | None = c.instant("when its last task ended", optional=True)
    reason: str | None = c.text("why it failed, or what it waits for", optional=True)
    backfill: int | None = c.count("the backfills row that worked on it last", optional=True)
    owner: str | None = c.word("the process that works on it now", optional=True)
    digest: int | None = c.count("keyed digest of it and all below it, as last attested, signed", optional=True)
    batch: int | None = c.seconds(
        "of dates that ran together: the first one, which has the task instances; for that one the last", optional=True
    )


class RunCount(Table, table=True):
    """How many dag_runs are in which state, by stretches of about twelve days; kept by the writer."""

    __tablename__ = "run_counts"
    __table_args__ = (CLUSTERED,)
    dag: int = c.key("which DAG", given=True)
    bucket: int = c.count("logical dates divided by 1,048,576 seconds, rounded down", primary_key=True)
    state: str = c.word("queued, running, success or failed", primary_key=True)
    runs: int = c.count("dag_runs of that stretch in that state")


class TaskInstance(Table, table=True):
    """One task of one dag_run, from its first dispatch on."""

    __tablename__ = "task_instances"
    __table_args__ = (CLUSTERED,)
    dag: int = c.key("which DAG", given=True)
    logical_date: int = c.seconds("start of the data interval", primary_key=True)
    task: int = c.key("which task", given=True)
    state: str = c.word("scheduled, queued, running, success, failed, skipped, upstream_failed, up_for_retry, removed")
    try_number: int = c.count("of the last try; 0 before the first")
    spent: int = c.count("tries since the last clear that used up the retry budget")
    losses: int = c.count("losses in a row")
    started_at: int | None = c.instant("when the last try began", optional=True)
    ended_at: int | None = c.instant("when the last try ended", optional=True)
    retry_at: int | None = c.instant("when the next try is due, while up_for_retry", optional=True)
    reason: str | None = c.text("why it is in this state", optional=True)


class Attempt(Table, table=True):
    """One try that ended. Append-only: the history that status, audit and recovery read."""

    __tablename__ = "attempts"
    __table_args__ = (CLUSTERED,)
    dag: int = c.key("which DAG", given=True)
    logical_date: int = c.seconds("start of the data interval", primary_key=True)
    task: int = c.key("which task", given=True)
    try_number: int = c.count("counts from 1", primary_key=True)
    started_at: int = c.instant("when it began")
    ended_at: int = c.instant("when it ended")
    outcome: str = c.word("success, failed, retry, deferred, skipped, lost or late")
    reason: str | None = c.text("the exception, exit status or signal", optional=True)
    version: int = c.count("the dag_versions row it ran under")
    backfill: int | None = c.count("the backfills row it ran for", optional=True)


class XCom(Table, table=True):
    """One value a task instance handed on; cleared when its next try begins."""

    __tablename__ = "xcoms"
    __table_args__ = (CLUSTERED,)
    dag: int = c.key("which DAG", given=True)
    logical_date: int = c.seconds("start of the data interval", primary_key=True)
    task: int = c.key("which task pushed it", given=True)
    name: str = c.word("its key", primary_key=True)
    value: str = c.document("the value")


class Backfill(Table, table=True):
    """One request to fill a window of one DAG, with its counters. Keys ascend in order of creation."""

    __tablename__ = "backfills"
    __table_args__ = (
        Index("ix_backfills_dag", "dag"),
        Index("ix_backfills_identity", "identity"),
        Index("ix_backfills_owned", "owner", sqlite_where=text("owner IS NOT NULL")),
        STRICT,
    )
    backfill: int = c.key("stands for the backfill in backfill_dates, dag_runs and attempts")
    backfill_id: str = c.word("its id as people see it", unique=True)
    dag: int = c.link("which DAG", "dags.dag")
    state: str = c.word("planned, running, paused, success, failed, cancelled or interrupted")
    version: int = c.link("the version it was planned with", "dag_versions.version")
    identity: str = c.word("digest of DAG and selection: the same command finds it again")
    request: str = c.document("what was asked: selection, parallel, reprocess, conf")
    created_at: int = c.instant("when it was planned")
    first_date: int | None = c.seconds("first selected logical date; empty without dates", optional=True)
    last_date: int | None = c.seconds("last selected logical date", optional=True)
    planned: str = c.document("dates by action, as planned")
    parent_id: str | None = c.word("the backfill whose failures it repairs", optional=True)
    started_at: int | None = c.instant("when it first ran", optional=True)
    ended_at: int | None = c.instant("when it ended", optional=True)
    completed: int = c.count("dates that succeeded")
    failed: int = c.count("dates that failed")
    blocked: int = c.count("dates left waiting at the end")
    interrupted: int = c.count("dates that were being run when it was stopped")
    reason: str | None = c.text("why it ended as it did", optional=True)
    owner: str | None = c.word("the process that works on it now", optional=True)


class Reason(Table, table=True):
    """Reasons of planned dates, each sentence once: a million dates share a handful."""

    __tablename__ = "reasons"
    __table_args__ = (STRICT,)
    reason: int = c.key("stands for the sentence in backfill_dates")
    sentence: str = c.text("the sentence", unique=True)


class BackfillDate(Table, table=True):
    """One date of a backfill: what was planned for it, and how this backfill finished it."""

    __tablename__ = "backfill_dates"
    __table_args__ = (CLUSTERED,)
    backfill: int = c.key("which backfill", given=True)
    logical_date: int = c.seconds("start of the data interval", primary_key=True)
    data_interval_end: int = c.seconds("end of the data interval, not part of it")
    action: str = c.word("create, resume, rerun, reset or skip")
    state: str | None = c.word("the dag_run's state when it was planned; empty without one", optional=True)
    outcome: str | None = c.word("success or failed, set once when this backfill finishes the date", optional=True)
    reason: int = c.count("the reasons row that says why this action")


class Owner(Table, table=True):
    """A process that coordinates. Whether it lives is asked of the kernel (locks.py), never stored."""

    __tablename__ = "owners"
    __table_args__ = (CLUSTERED,)
    owner: str = c.word("its id, also the name of its lock file", primary_key=True)
    pid: int = c.count("its process id on that host")
    host: str = c.word("the host it runs on")
    started_at: int = c.instant("when it began")


class AuditEvent(Table, table=True):
    """One entry of the audit chain: each holds the hash of the one before."""

    __tablename__ = "audit_events"
    __table_args__ = (STRICT,)
    seq: int = c.key("position in the chain, from 1, without gaps", given=True)
    at: int = c.instant("when")
    actor: str = c.word("who")
    host: str = c.word("where")
    action: str = c.word("what")
    target: str = c.word("to what")
    reason: str | None = c.text("why", optional=True)
    outcome: str = c.word("with which result")
    details: str = c.document("the rest")
    previous: str = c.word("hash of the entry before; empty for the first")
    hash: str = c.word("hash of this entry")


class Pool(Table, table=True):
    """A named limit on what runs at once, as somebody has set it. `default_pool` is there without a row."""

    __tablename__ = "pools"
    __table_args__ = (CLUSTERED,)
    name: str = c.word("the pool", primary_key=True)
    slots: int = c.count("its size; -1 is unlimited, 0 holds all its tasks")
    description: str | None = c.text("what it protects", optional=True)


class PoolLease(Table, table=True):
    """Slots of a pool that one process holds, so that several processes share a pool (core/leases.py)."""

    __tablename__ = "pool_leases"
    __table_args__ = (CLUSTERED,)
    pool: str = c.word("the pool, or the limit of a task or of a DAG's dates", primary_key=True)
    owner: str = c.word("the process", primary_key=True)
    slots: int = c.count("slots nobody else may use")
    used: int = c.count("of them taken by running tasks, when it looked last")
    wanted: int = c.count("slots it could use: those taken, and those its ready tasks need")
    least: int = c.count("slots the largest of its waiting tasks needs; 0 without one")
    waiting: int = c.count("its tasks that wait for this pool")
    rank: int = c.count("who goes first: 0 scheduled runs, 1 backfills")
    size: int | None = c.count("the pool's size as its own settings have it; empty: the store's", optional=True)
    served_at: int = c.instant("when it last came to have what one task needs; 0 before")


class Waits(Table, table=True):
    """What the tasks of one process wait for, as it last looked; for whoever asks from elsewhere."""

    __tablename__ = "waits"
    __table_args__ = (CLUSTERED,)
    owner: str = c.word("the process", primary_key=True)
    at: int = c.instant("when it looked")
    document: str = c.document("reasons with the number of tasks, and some of the tasks (core/waits.py)")


class RateLimit(Table, table=True):
    """A limit of rate, and when the next start under it may be: all that processes have to agree on."""

    __tablename__ = "rate_limits"
    __table_args__ = (CLUSTERED,)
    name: str = c.word("what is limited: pool:NAME or task:DAG_ID/TASK_ID", primary_key=True)
    next_at: int = c.instant("the nominal time of the next start")


class Deferral(Table, table=True):
    """The system behind a pool has said wait, to all who ask it (core/agreements.py)."""

    __tablename__ = "deferrals"
    __table_args__ = (CLUSTERED,)
    pool: str = c.word("the pool", primary_key=True)
    at: int = c.instant("when it said so")
    until: int = c.instant("until when")
    by: str = c.word("the backfill it was said to")
    reason: str = c.text("what it said")


class Circuit(Table, table=True):
    """The circuit breaker of a pool, unless it is closed and has seen no failure (core/circuits.py)."""

    __tablename__ = "circuits"
    __table_args__ = (CLUSTERED,)
    pool: str = c.word("the pool", primary_key=True)
    state: str = c.word("closed, open or half_open")
    failures: int = c.count("so many in a row, while closed")
    signature: str = c.text("theirs, without what differs between them")
    why: str = c.text("what opened it last")
    at: int = c.instant("when it moved last")
    until: int = c.instant("when its cooldown ends, while open")
    by: str = c.word("the backfill that saw what moved it")
    prober: str = c.word("the process that may probe, while half open; empty: nobody yet")


class ControlRequest(Table, table=True):
    """What somebody asked of a running backfill from another terminal, and what its process answered."""

    __tablename__ = "control_requests"
    __table_args__ = (
        Index("ix_control_requests_open", "backfill", sqlite_where=text("answered_at IS NULL")),
        STRICT,
    )
    request: int = c.key("its number; requests are answered in this order")
    backfill: int = c.link("of which backfill", "backfills.backfill")
    action: str = c.word("pause, resume, cancel or set")
    args: str = c.document("what exactly: the number to set, the dates to skip")
    reason: str | None = c.text("why", optional=True)
    actor: str = c.word("who asked")
    host: str = c.word("from which host")
    origin: str = c.document("from where there: pid, folder, command; for the audit entry")
    asked_at: int = c.instant("when it was asked")
    answered_at: int | None = c.instant("when it was answered; empty while it waits", optional=True)
    is_done: int | None = c.count("1 when it was done, 0 when it was refused or withdrawn", optional=True)
    answer: str | None = c.text("the answer, in words", optional=True)
