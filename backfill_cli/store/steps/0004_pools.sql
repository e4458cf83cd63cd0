-- Step 4: what a pool is for, leases by which the processes of one store share its slots, and what their tasks wait for.
-- default_pool is built in: it has a row only where somebody has set it, so that bfill.toml may size it as well.

ALTER TABLE pools ADD COLUMN description TEXT;

DELETE FROM pools WHERE name = 'default_pool' AND slots = 128;

DROP TABLE pool_leases;

CREATE TABLE pool_leases (
    pool TEXT NOT NULL,
    owner TEXT NOT NULL,
    slots INTEGER NOT NULL,
    used INTEGER NOT NULL,
    wanted INTEGER NOT NULL,
    least INTEGER NOT NULL,
    waiting INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    size INTEGER,
    served_at INTEGER NOT NULL,
    PRIMARY KEY (pool, owner)
) WITHOUT ROWID, STRICT;

CREATE TABLE waits (
    owner TEXT NOT NULL,
    at INTEGER NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (owner)
) WITHOUT ROWID, STRICT;
