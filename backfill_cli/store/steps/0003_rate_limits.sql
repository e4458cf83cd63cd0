-- Step 3: limits of rate, shared by all processes of a store.

CREATE TABLE rate_limits (
    name TEXT NOT NULL,
    next_at INTEGER NOT NULL,
    PRIMARY KEY (name)
) WITHOUT ROWID, STRICT;
