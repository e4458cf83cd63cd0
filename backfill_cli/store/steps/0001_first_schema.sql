-- Step 1: the first schema. models.py says what every column means; a test compares the two.
-- A step that has shipped is never edited: the next change is step 2.

CREATE TABLE attempts (
    dag INTEGER NOT NULL,
    logical_date INTEGER NOT NULL,
    task INTEGER NOT NULL,
    try_number INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT,
    version INTEGER NOT NULL,
    backfill INTEGER,
    PRIMARY KEY (dag, logical_date, task, try_number)
) WITHOUT ROWID, STRICT;

CREATE TABLE audit_events (
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    host TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    reason TEXT,
    outcome TEXT NOT NULL,
    details TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (seq)
) STRICT;

CREATE TABLE backfill_dates (
    backfill INTEGER NOT NULL,
    logical_date INTEGER NOT NULL,
    data_interval_end INTEGER NOT NULL,
    action TEXT NOT NULL,
    state TEXT,
    outcome TEXT,
    reason INTEGER NOT NULL,
    PRIMARY KEY (backfill, logical_date)
) WITHOUT ROWID, STRICT;

CREATE TABLE dag_runs (
    dag INTEGER NOT NULL,
    logical_date INTEGER NOT NULL,
    data_interval_end INTEGER NOT NULL,
    run_type TEXT NOT NULL,
    state TEXT NOT NULL,
    version INTEGER NOT NULL,
    conf TEXT,
    started_at INTEGER,
    ended_at INTEGER,
    reason TEXT,
    backfill INTEGER,
    owner TEXT,
    PRIMARY KEY (dag, logical_date)
) WITHOUT ROWID, STRICT;

CREATE INDEX ix_dag_runs_active ON dag_runs (dag, logical_date)
    WHERE state IN ('queued', 'running') OR owner IS NOT NULL;

CREATE TABLE dags (
    dag INTEGER NOT NULL,
    dag_id TEXT NOT NULL,
    path TEXT,
    definition TEXT,
    version INTEGER,
    PRIMARY KEY (dag),
    UNIQUE (dag_id)
) STRICT;

CREATE TABLE meta (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name)
) WITHOUT ROWID, STRICT;

CREATE TABLE owners (
    owner TEXT NOT NULL,
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    PRIMARY KEY (owner)
) WITHOUT ROWID, STRICT;

CREATE TABLE pool_leases (
    pool TEXT NOT NULL,
    owner TEXT NOT NULL,
    slots INTEGER NOT NULL,
    PRIMARY KEY (pool, owner)
) WITHOUT ROWID, STRICT;

CREATE TABLE pools (
    name TEXT NOT NULL,
    slots INTEGER NOT NULL,
    PRIMARY KEY (name)
) WITHOUT ROWID, STRICT;

CREATE TABLE reasons (
    reason INTEGER NOT NULL,
    sentence TEXT NOT NULL,
    PRIMARY KEY (reason),
    UNIQUE (sentence)
) STRICT;

CREATE TABLE run_counts (
    dag INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    state TEXT NOT NULL,
    runs INTEGER NOT NULL,
    PRIMARY KEY (dag, bucket, state)
) WITHOUT ROWID, STRICT;

CREATE TABLE task_instances (
    dag INTEGER NOT NULL,
    logical_date INTEGER NOT NULL,
    task INTEGER NOT NULL,
    state TEXT NOT NULL,
    try_number INTEGER NOT NULL,
    spent INTEGER NOT NULL,
    losses INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER,
    retry_at INTEGER,
    reason TEXT,
    PRIMARY KEY (dag, logical_date, task)
) WITHOUT ROWID, STRICT;

CREATE TABLE xcoms (
    dag INTEGER NOT NULL,
    logical_date INTEGER NOT NULL,
    task INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (dag, logical_date, task, name)
) WITHOUT ROWID, STRICT;

CREATE TABLE dag_versions (
    version INTEGER NOT NULL,
    dag INTEGER NOT NULL,
    digest TEXT NOT NULL,
    tasks TEXT NOT NULL,
    first_seen_at INTEGER NOT NULL,
    PRIMARY KEY (version),
    UNIQUE (dag, digest),
    FOREIGN KEY(dag) REFERENCES dags (dag)
) STRICT;

CREATE TABLE tasks (
    task INTEGER NOT NULL,
    dag INTEGER NOT NULL,
    task_id TEXT NOT NULL,
    first_date INTEGER,
    PRIMARY KEY (task),
    UNIQUE (dag, task_id),
    FOREIGN KEY(dag) REFERENCES dags (dag)
) STRICT;

CREATE TABLE backfills (
    backfill INTEGER NOT NULL,
    backfill_id TEXT NOT NULL,
    dag INTEGER NOT NULL,
    state TEXT NOT NULL,
    version INTEGER NOT NULL,
    identity TEXT NOT NULL,
    request TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    first_date INTEGER,
    last_date INTEGER,
    planned TEXT NOT NULL,
    parent_id TEXT,
    started_at INTEGER,
    ended_at INTEGER,
    completed INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    blocked INTEGER NOT NULL,
    interrupted INTEGER NOT NULL,
    reason TEXT,
    owner TEXT,
    PRIMARY KEY (backfill),
    UNIQUE (backfill_id),
    FOREIGN KEY(dag) REFERENCES dags (dag),
    FOREIGN KEY(version) REFERENCES dag_versions (version)
) STRICT;

CREATE INDEX ix_backfills_dag ON backfills (dag);

CREATE INDEX ix_backfills_identity ON backfills (identity);

CREATE INDEX ix_backfills_owned ON backfills (owner) WHERE owner IS NOT NULL;

-- Without statistics the planner cannot know that the partial index is the short way to open runs.
ANALYZE sqlite_schema;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('dag_runs', 'ix_dag_runs_active', '64 32 1'),
    ('dag_runs', 'dag_runs', '1000000 100000 1');
ANALYZE sqlite_schema;

INSERT INTO pools (name, slots) VALUES ('default_pool', 128);

-- The readable interface for people with a SQL prompt: names instead of keys, ISO 8601 UTC instead of epochs.

CREATE VIEW v_dag_runs AS
SELECT d.dag_id,
       r.run_type || '__' || strftime('%Y-%m-%dT%H:%M:%S+00:00', r.logical_date, 'unixepoch') AS run_id,
       strftime('%Y-%m-%dT%H:%M:%S+00:00', r.logical_date, 'unixepoch') AS logical_date,
       strftime('%Y-%m-%dT%H:%M:%S+00:00', r.data_interval_end, 'unixepoch') AS data_interval_end,
       r.run_type, r.state, v.digest AS dag_version, coalesce(r.conf, '{}') AS conf,
       strftime('%Y-%m-%dT%H:%M:%S', r.started_at / 1000000, 'unixepoch')
           || printf('.%06d+00:00', r.started_at % 1000000) AS started_at,
       strftime('%Y-%m-%dT%H:%M:%S', r.ended_at / 1000000, 'unixepoch')
           || printf('.%06d+00:00', r.ended_at % 1000000) AS ended_at,
       (r.ended_at - r.started_at) / 1000000.0 AS duration_s,
       r.reason, b.backfill_id, r.owner
FROM dag_runs r
JOIN dags d ON d.dag = r.dag
LEFT JOIN dag_versions v ON v.version = r.version
LEFT JOIN backfills b ON b.backfill = r.backfill;

CREATE VIEW v_attempts AS
SELECT d.dag_id, t.task_id,
       strftime('%Y-%m-%dT%H:%M:%S+00:00', a.logical_date, 'unixepoch') AS logical_date,
       a.try_number, a.outcome,
       strftime('%Y-%m-%dT%H:%M:%S', a.started_at / 1000000, 'unixepoch')
           || printf('.%06d+00:00', a.started_at % 1000000) AS started_at,
       strftime('%Y-%m-%dT%H:%M:%S', a.ended_at / 1000000, 'unixepoch')
           || printf('.%06d+00:00', a.ended_at % 1000000) AS ended_at,
       (a.ended_at - a.started_at) / 1000000.0 AS duration_s,
       a.reason, v.digest AS dag_version, b.backfill_id
FROM attempts a
JOIN dags d ON d.dag = a.dag
JOIN tasks t ON t.task = a.task
LEFT JOIN dag_versions v ON v.version = a.version
LEFT JOIN backfills b ON b.backfill = a.backfill;

CREATE VIEW v_audit AS
SELECT seq,
       strftime('%Y-%m-%dT%H:%M:%S', at / 1000000, 'unixepoch') || printf('.%06d+00:00', at % 1000000) AS at,
       actor, host, action, target, reason, outcome, details, previous, hash
FROM audit_events;
