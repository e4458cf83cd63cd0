-- Step 5: what people ask of a running backfill from other terminals: pause, resume, cancel, set, skip.

CREATE TABLE control_requests (
    request INTEGER NOT NULL,
    backfill INTEGER NOT NULL,
    action TEXT NOT NULL,
    args TEXT NOT NULL,
    reason TEXT,
    actor TEXT NOT NULL,
    host TEXT NOT NULL,
    origin TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    answered_at INTEGER,
    is_done INTEGER,
    answer TEXT,
    PRIMARY KEY (request),
    FOREIGN KEY (backfill) REFERENCES backfills (backfill)
) STRICT;

-- Nearly always empty: the process that runs a backfill looks into it twice a second.
CREATE INDEX ix_control_requests_open ON control_requests (backfill) WHERE answered_at IS NULL;
