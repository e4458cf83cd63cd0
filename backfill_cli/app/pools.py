"""`bfill pools list|set|delete`, and how large each pool is: the one place that asks the store and the settings.

Owns the use cases. Who goes before whom is `core/pools.py`; how processes share slots is `core/leases.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from backfill_cli.app.trail import record
from backfill_cli.core.auditing import head_text
from backfill_cli.core.graph import near_hint
from backfill_cli.core.pooling import PoolChange, PoolsResult, PoolUser, PoolView, check_name, check_slots
from backfill_cli.core.pools import BUILT_IN, DEFAULT_POOL, SETTINGS, STORE, UNLIMITED, PoolSize, pool_sizes
from backfill_cli.core.problems import Problem
from backfill_cli.core.states import BackfillState
from backfill_cli.errors import NotFoundError, RefusedError

if TYPE_CHECKING:
    from backfill_cli.app.context import AppContext
    from backfill_cli.core.ports import Reader, Store, Writer
    from backfill_cli.loader.settings import Settings

Confirm = Callable[[str], bool]
_NAMED = 3


def sizes_of(settings: Settings, reader: Reader) -> dict[str, PoolSize]:
    """Return every pool with its size and who says so."""
    # A pool that has rules and no size is unlimited, but for the one that has a size without anybody's word.
    ruled = dict.fromkeys(settings.pool_rules.keys() - {DEFAULT_POOL}, UNLIMITED)
    return pool_sizes({name: pool.slots for name, pool in reader.pools().items()}, {**ruled, **settings.pools})


def slots_of(settings: Settings, store: Store) -> dict[str, int]:
    """Return every pool's slots; -1 is unlimited."""
    return {name: size.slots for name, size in store.read(lambda reader: sizes_of(settings, reader)).items()}


def list_pools(ctx: AppContext) -> PoolsResult:
    """Return every pool: its size and where that comes from, who holds slots of it, how many tasks wait. Reads only."""
    from backfill_cli.app.pool_holds import with_holds

    now = ctx.clock.now_us()
    with ctx.store(write=False) as store:
        return PoolsResult(store.read(lambda reader: with_holds(reader, views(ctx.settings, reader), now)))


def views(settings: Settings, reader: Reader) -> dict[str, PoolView]:
    """Return every pool as it stands, by name: `default_pool` last, as nobody has to ask for it."""
    stored, users = reader.pools(), _users(reader)
    sizes = sizes_of(settings, reader)
    return {
        name: PoolView(
            name,
            sizes[name].slots,
            sizes[name].origin,
            stored[name].description if name in stored else None,
            settings.pools.get(name) if name in stored else None,
            users.get(name, ()),
            rules=settings.pool_rules.get(name),
        )
        for name in sorted(sizes, key=lambda name: (name == DEFAULT_POOL, name))
    }


def set_pool(
    ctx: AppContext, name: str, slots: str | int, *, description: str | None = None, reason: str | None = None
) -> PoolChange:
    """Set how large a pool is, for every process of the store, those that run included.

    Args:
        slots: 0 holds all its tasks; -1 or `unlimited` is no limit.
        description: What it protects; None leaves what was said, an empty text takes it away.

    Raises:
        UsageProblem: A name or a number that cannot be.
    """
    check_name(name)
    number = check_slots(slots)

    def as_it_was(reader: Reader) -> PoolChange | None:
        now = reader.pools().get(name)
        if now is None or now.slots != number or description not in (None, now.description or ""):
            return None
        view = views(ctx.settings, reader)[name]
        return PoolChange(name, view, view, False, head_text(reader.audit_head()))

    def work(writer: Writer) -> PoolChange:
        before = views(ctx.settings, writer).get(name)
        told = before.description if before and description is None else (description or None)
        writer.set_pool(name, number, told)
        details: dict[str, object] = {"slots": number, "slots_before": before.slots if before else None}
        if told is not None:
            details["description"] = told
        head = record(ctx, writer, "pools set", name, outcome="set", reason=reason, details=details)
        after = views(ctx.settings, writer)[name]
        return PoolChange(name, before, after, True, head, tuple(_too_small(writer, after)))

    with ctx.store(write=False) as store:
        if found := store.read(as_it_was):
            return found
    with ctx.store(write=True) as store:
        return store.write(work)


def delete_pool(
    ctx: AppContext, name: str, *, yes: bool = False, confirm: Confirm | None = None, reason: str | None = None
) -> PoolChange:
    """Forget what was set for a pool; what bfill.toml says of it holds again.

    Raises:
        NotFoundError: There is no such pool in the store.
        RefusedError: It is `default_pool`; or a DAG or a running backfill uses it, and nobody confirmed.
    """
    if name == DEFAULT_POOL:
        raise RefusedError(
            "default_pool cannot be deleted: every task without a pool uses it",
            hint=f"give it another size: bfill pools set {DEFAULT_POOL} 128",
            code="default-pool",
        )
    with ctx.store(write=False) as store:
        before = _find(ctx, store, name)
    users = [] if yes or name in ctx.settings.pool_rules else _who_uses(ctx, before)
    if users:
        _ask(name, users, confirm)

    def work(writer: Writer) -> PoolChange:
        now = views(ctx.settings, writer).get(name)
        if now is None or now.origin != STORE:
            return PoolChange(name, now, now, False, head_text(writer.audit_head()))
        writer.drop_pool(name)
        details = {"slots_before": now.slots, "used_by": users}
        head = record(ctx, writer, "pools delete", name, outcome="deleted", reason=reason, details=details)
        return PoolChange(name, now, views(ctx.settings, writer).get(name), True, head)

    with ctx.store(write=True) as store:
        return store.write(work)


def _users(reader: Reader) -> Mapping[str, list[PoolUser]]:
    """Who holds slots of each pool or waits for them, by pool."""
    owners = {one.owner: one for one in reader.owners()}
    running = {row.owner: row for row in reader.backfills(states=[BackfillState.RUNNING], limit=1_000) if row.owner}
    found: dict[str, list[PoolUser]] = defaultdict(list)
    place = {name: number for number, name in enumerate(owners)}  # oldest first, as the reader has them
    for lease in sorted(reader.leases(), key=lambda one: place.get(one.owner, len(place))):
        owner, row = owners.get(lease.owner), running.get(lease.owner)
        found[lease.pool].append(
            PoolUser(
                row.backfill_id if row else None,
                row.dag_id if row else None,
                owner.pid if owner else None,
                owner.host if owner else None,
                lease.used,
                lease.slots,
                lease.waiting,
            )
        )
    return found


def _too_small(reader: Reader, pool: PoolView) -> list[Problem]:
    """What waits now and needs more than the pool has would wait for ever."""
    most = max((one.least for one in reader.leases([pool.name])), default=0)
    if pool.slots in (UNLIMITED, 0) or most <= pool.slots:
        return []
    return [
        Problem(
            "pool-too-small",
            f"a task that waits needs {most} slots of pool '{pool.name}', which has {pool.slots} now",
            f"it starts once there are enough: bfill pools set {pool.name} {most}",
        )
    ]


def _find(ctx: AppContext, store: Store, name: str) -> PoolView:
    known = store.read(lambda reader: views(ctx.settings, reader))
    found = known.get(name)
    if found is None:
        names = [one for one in known if one != DEFAULT_POOL]
        raise NotFoundError(
            f"no pool '{name}'", hint=near_hint(name, names, otherwise="see: bfill pools list"), code="unknown-pool"
        )
    if found.origin != STORE:
        assert found.origin in (SETTINGS, BUILT_IN)
        is_open = found.slots == UNLIMITED
        raise NotFoundError(
            f"pool '{name}' is not in the store: bfill.toml says {'no limit' if is_open else found.slots}",
            hint="take it out of [pools] there, or give it another size: bfill pools set "
            f"{name} {4 if is_open else max(found.slots, 1) * 2}",
            code="pool-in-settings",
        )
    return found


def _who_uses(ctx: AppContext, pool: PoolView) -> list[str]:
    """Return, in words, the backfills that run in the pool, and the DAGs of the dags folders with tasks for it."""
    from backfill_cli.errors import BfillError
    from backfill_cli.loader.folders import list_dags

    running = [one.backfill_id for one in pool.users if one.backfill_id is not None]
    loaded = [one.dag for one in list_dags(ctx.settings) if not isinstance(one.dag, BfillError)]
    dags = sorted({dag.dag_id for dag in loaded if any(task.pool == pool.name for task in dag.tasks.values())})
    return [f"backfill {one}" for one in running] + [f"DAG {one}" for one in dags]


def _ask(name: str, users: list[str], confirm: Confirm | None) -> None:
    more = f" and {len(users) - _NAMED} more" if len(users) > _NAMED else ""
    what = f"pool '{name}' is used by {', '.join(users[:_NAMED])}{more}"
    if confirm is None:
        raise RefusedError(
            what,
            hint=f"their tasks could not be planned any more; all the same: bfill pools delete {name} --yes",
            code="pool-in-use",
        )
    if not confirm(f"{what}. Delete it?"):
        raise RefusedError("nothing was deleted", hint="answer y, or add --yes", code="not-confirmed")
