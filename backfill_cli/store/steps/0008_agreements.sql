-- Step 8: what processes agree on about the systems behind pools: who said wait, and which breaker is open.

CREATE TABLE deferrals (
    pool TEXT NOT NULL,
    at INTEGER NOT NULL,
    until INTEGER NOT NULL,
    by TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (pool)
) WITHOUT ROWID, STRICT;

CREATE TABLE circuits (
    pool TEXT NOT NULL,
    state TEXT NOT NULL,
    failures INTEGER NOT NULL,
    signature TEXT NOT NULL,
    why TEXT NOT NULL,
    at INTEGER NOT NULL,
    until INTEGER NOT NULL,
    by TEXT NOT NULL,
    prober TEXT NOT NULL,
    PRIMARY KEY (pool)
) WITHOUT ROWID, STRICT;
