"""Whether history is as it was written: the chain, the heads kept of it, and every digest its entries hold.

Owns the order of the checks and the words of the findings. First the chain, because everything else rests on what its
entries say; then backfills with their dates, then the dag_runs of each DAG with their task instances and attempts, then
rows that belong to nobody. Rows are read as they are: one that is no valid record is a finding that names it.

Not every difference is an alarm. What a living process is working on, or what one that was killed left behind, is not
attested yet; the next command that touches it recovers and attests it. Such dag_runs are counted and told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from backfill_cli.core.auditing import ChainCheck, head_text
from backfill_cli.core.audits import MOST_FINDINGS, AuditVerdict, Finding
from backfill_cli.core.digests import AttemptsSeals, BackfillSeal, RunDigests, added, sum_text
from backfill_cli.core.heads import Head, HeadCheck, read_heads
from backfill_cli.core.histories import HistoryPage, Ledger, StoredBackfill, StoredRun
from backfill_cli.core.instants import iso
from backfill_cli.core.ports import Reader
from backfill_cli.core.problems import Problem
from backfill_cli.core.testimony import NOTHING, Said, SaidOfDag, Testimony
from backfill_cli.errors import StoreError

FILE = "the head file beside the store"
PERSON = "whoever gave --expect-head"


def verdict_of(reader: Reader, kept: Sequence[str] | None = None, expected: Head | None = None) -> AuditVerdict:
    """Check the history of a snapshot against its audit chain.

    Args:
        kept: The lines of the head file, read before the snapshot; None when there is none.
        expected: A head that somebody kept elsewhere.
    """
    return _Proof(reader, kept, expected).verdict()


class _Proof:
    """One verification over one snapshot."""

    def __init__(self, reader: Reader, kept: Sequence[str] | None, expected: Head | None) -> None:
        self._reader = reader
        self._history = reader.history()
        self._kept = kept
        self._chain = ChainCheck()
        self._said = Testimony()
        self._file = HeadCheck(read_heads(kept or ()), FILE)
        self._person = HeadCheck([expected] if expected else [], PERSON)
        self._digests = 0
        self._dag_runs = 0
        self._going_on = self._older = 0

    def verdict(self) -> AuditVerdict:
        # A broken chain says nothing about the rest: comparing with it would only add noise.
        findings = sorted(self._broken(), key=lambda one: one.entry or 0)
        if not findings:
            findings = list(islice(self._changed(), MOST_FINDINGS))
        return AuditVerdict(
            checked=self._chain.checked,
            head=head_text(self._chain.head),
            digests=self._digests,
            dag_runs=self._dag_runs,
            findings=tuple(findings),
            problems=tuple(self._problems()),
        )

    def _broken(self) -> Iterator[Finding]:
        """Walk the chain; yield what is wrong with it."""
        for row in self._chain.over(self._history.stored_audit()):
            self._file.look(row)
            self._person.look(row)
            try:
                self._said.take(row)
            except (AttributeError, KeyError, TypeError, ValueError):
                yield Finding("chain-broken", f"entry {row.seq} says what no bfill writes", entry=row.seq)
                return
        for found in (self._chain.finding, self._said.finding):
            if found is not None:
                yield found
        # Behind a broken entry nothing was walked, so a chain that seems short may only be broken.
        for check in (self._file, self._person):
            found = check.finding if self._chain.finding else check.end(self._chain.head[0])
            if found is not None:
                yield found

    def _changed(self) -> Iterator[Finding]:
        """Yield what is not as the chain says."""
        try:
            key = self._history.digest_key()
        except StoreError as error:
            yield Finding("key-lost", f"{error}: the digests cannot be checked")
            return
        stored = {one.backfill_id: one for one in self._history.stored_backfills()}
        yield from self._backfills(key, stored)
        dag_ids = dict.fromkeys([*(row.dag_id for row in self._reader.dags()), *self._said.dags])
        for dag_id in dag_ids:
            yield from self._dag(key, dag_id)
        for table, number, date in self._history.strangers():
            what = "backfill" if table == "backfill_dates" else "DAG"
            what = f"{table} has a row of {_date(date)} for {what} {number}, which does not exist"
            yield Finding("row-nobodys", what)
        for table, column, row in self._history.wrong_types():
            where = ", ".join(f"{name} {_date(one) if name == 'logical_date' else one}" for name, one in row.items())
            yield Finding("row-type", f"{table}.{column} holds a value of a wrong type: {where}")

    def _backfills(self, key: bytes, stored: dict[object, StoredBackfill]) -> Iterator[Finding]:
        for backfill_id, said in self._said.backfills.items():
            if backfill_id in stored:
                if said.backfill_digest and not said.is_going_on:
                    yield from self._backfill(key, stored[backfill_id], said)
            elif backfill_id not in self._said.replaced and (said.backfill_digest or said.outcome != "planned"):
                what = f"backfill {backfill_id}, which entry {said.seq} tells of, is not in the store"
                yield Finding("backfill-missing", what, entry=said.seq, target=backfill_id)
        for unknown in stored.keys() - self._said.backfills.keys():
            what = f"backfill {unknown} is in the store, and no entry of the chain tells of it"
            yield Finding("backfill-unknown", what, target=str(unknown))

    def _backfill(self, key: bytes, stored: StoredBackfill, said: Said) -> Iterator[Finding]:
        self._digests += 1
        seal = BackfillSeal(key)
        for dates in self._history.stored_dates(stored.backfill_id):
            seal.add(dates)
        if seal.details(stored.values)["backfill_digest"] != said.backfill_digest:
            what = f"backfill {stored.backfill_id} or its dates are not as entry {said.seq} left them"
            yield Finding("backfill-changed", what, entry=said.seq, target=stored.backfill_id)

    def _dag(self, key: bytes, dag_id: str) -> Iterator[Finding]:
        """Check the dag_runs of a DAG with all below them, and the attempts that its backfills made."""
        sealed = [
            one
            for one, said in self._said.backfills.items()
            if said.dag_id == dag_id and said.tells_of_attempts and not said.is_going_on
        ]
        seals = AttemptsSeals(key, sealed)
        digests = RunDigests(key, dag_id)
        total = runs = 0
        for page in self._history.histories(dag_id):
            seals.take(page)
            for run, digest in digests.over(page):
                if type(run.digest) is int:
                    total, runs = added(total, run.digest), runs + 1
                if run.digest == digest:
                    self._dag_runs += 1
                elif not self._is_excused(dag_id, run):
                    what = (
                        f"dag_run {dag_id} {_date(run.logical_date)}, its task instances or its attempts were changed"
                    )
                    yield _at(run.logical_date, Finding("run-changed", what, target=dag_id))
            yield from _strays(dag_id, page)
        yield from self._attempts(sealed, seals)
        yield from self._sum(dag_id, Ledger(total, runs))

    def _is_excused(self, dag_id: str, run: StoredRun) -> bool:
        """Return whether a dag_run need not fit its digest, and count it."""
        said = self._said.backfills.get(run.backfill_id)
        if said is not None and said.is_going_on and self._history.is_to_do(run.backfill_id, run.logical_date):
            self._going_on += 1
        elif run.digest is None and dag_id not in self._said.dags:
            self._older += 1
        else:
            return False
        return True

    def _attempts(self, sealed: Iterable[str], seals: AttemptsSeals) -> Iterator[Finding]:
        """Compare the attempts of backfills with what their last entries say of them."""
        for backfill_id in sealed:
            said = self._said.backfills[backfill_id]
            found = seals.details(backfill_id)
            if (found["attempts"], found["attempts_digest"]) != (said.attempts, said.attempts_digest):
                what = f"the attempts of {backfill_id} are not those that entry {said.seq} closed"
                yield Finding("attempts-changed", what, entry=said.seq, target=backfill_id)

    def _sum(self, dag_id: str, found: Ledger) -> Iterator[Finding]:
        """Compare what the stored digests come to with the DAG's last ledger: this finds the row that is not there."""
        said = self._said.dags.get(dag_id)
        kept = self._history.ledger(dag_id)
        if (kept and (sum_text(kept.total), kept.runs)) != (said and (said.total, said.runs)):
            what = f"the ledger of DAG {dag_id} is not as {_entry(said)} left it"
            yield Finding("ledger-changed", what, entry=said and said.seq, target=dag_id)
        if (sum_text(found.total), found.runs) == ((said.total, said.runs) if said else (NOTHING, 0)):
            return
        missing = self._history.finished_without_run(dag_id)
        for backfill_id, date in missing:
            what = f"dag_run {dag_id} {_date(date)}, which {backfill_id} finished, is not in the store"
            yield _at(date, Finding("run-missing", what, target=dag_id))
        if not missing:
            what = (
                f"the {found.runs} digests of {dag_id} do not come to what {_entry(said)} says of "
                f"{said.runs if said else 0}: a dag_run was removed, or an older one put in its place"
            )
            yield Finding("ledger-changed", what, entry=said and said.seq, target=dag_id)

    def _problems(self) -> Iterator[Problem]:
        """Yield what is no alarm."""
        seq = self._chain.head[0]
        if seq and self._kept is None:
            yield Problem(
                "heads-missing",
                "there is no file with the audit heads beside the store: a cut tail or an older copy would not show",
                "compare with a head kept elsewhere: bfill audit verify --expect-head SEQ:HASH",
            )
        elif self._file.finding is not None:
            yield Problem(
                "heads-of-another",
                "the head file beside the store was kept of another chain, or of a longer one",
                "if the store was restored or begun anew on purpose, move the file away; the next command makes one",
            )
        elif seq > self._file.last:
            yield Problem(
                "heads-behind",
                f"the head file beside the store ends at entry {self._file.last} of {seq}: what is behind it "
                "could be cut off unseen",
                "nothing, if a command is running or was killed; the next one goes on with the file",
            )
        if self._going_on:
            yield Problem(
                "not-attested",
                f"{self._going_on} dag_runs belong to a backfill that is running or was killed, and have no digest yet",
                "they get it when it ends, or with the next command that recovers it",
            )
        if self._older:
            yield Problem(
                "not-attested-yet",
                f"{self._older} dag_runs were made by an older bfill and have no digest yet",
                "the next command that changes their DAG attests them as they are then",
            )


def _strays(dag_id: str, page: HistoryPage) -> Iterator[Finding]:
    dates = {run[0] for run in page.runs}
    for table, rows in (("task_instances", page.instances), ("attempts", page.attempts)):
        for date in dict.fromkeys(row[0] for row in rows if row[0] not in dates):
            what = f"{table} has rows of {dag_id} {_date(date)}, which has no dag_run"
            yield _at(date, Finding("row-stray", what, target=dag_id))


def _at(date: object, finding: Finding) -> Finding:
    """Return the finding with its logical date, when it is one that any calendar has."""
    return finding._replace(logical_date=date) if isinstance(date, int) and _date(date) != str(date) else finding


def _date(date: object) -> str:
    """Return a logical date as people read it; as it is when there is no such date."""
    try:
        return str(iso(date)) if isinstance(date, int) else str(date)
    except (ValueError, OverflowError, OSError):
        return str(date)


def _entry(said: SaidOfDag | None) -> str:
    return "the chain" if said is None else f"entry {said.seq}"
