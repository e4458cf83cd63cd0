-- Step 6: a DAG may be paused: the scheduler creates nothing for it.

ALTER TABLE dags ADD COLUMN paused_at INTEGER;
