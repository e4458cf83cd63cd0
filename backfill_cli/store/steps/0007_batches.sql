-- Step 7: dates that ran together, in one execution of the tasks, point to the first of them.

DROP VIEW v_dag_runs;

ALTER TABLE dag_runs ADD COLUMN batch INTEGER;

CREATE VIEW v_dag_runs AS
SELECT d.dag_id,
       coalesce(r.run_type, 'backfill') || '__' || strftime('%Y-%m-%dT%H:%M:%S+00:00', r.logical_date, 'unixepoch') AS run_id,
       strftime('%Y-%m-%dT%H:%M:%S+00:00', r.logical_date, 'unixepoch') AS logical_date,
       strftime('%Y-%m-%dT%H:%M:%S+00:00', r.data_interval_end, 'unixepoch') AS data_interval_end,
       coalesce(r.run_type, 'backfill') AS run_type, r.state, v.digest AS dag_version, coalesce(r.conf, '{}') AS conf,
       strftime('%Y-%m-%dT%H:%M:%S', r.started_at / 1000000, 'unixepoch')
           || printf('.%06d+00:00', r.started_at % 1000000) AS started_at,
       strftime('%Y-%m-%dT%H:%M:%S', r.ended_at / 1000000, 'unixepoch')
           || printf('.%06d+00:00', r.ended_at % 1000000) AS ended_at,
       (r.ended_at - r.started_at) / 1000000.0 AS duration_s,
       r.reason, b.backfill_id, r.owner,
       strftime('%Y-%m-%dT%H:%M:%S+00:00', min(r.batch, r.logical_date), 'unixepoch') AS batch
FROM dag_runs r
JOIN dags d ON d.dag = r.dag
LEFT JOIN dag_versions v ON v.version = r.version
LEFT JOIN backfills b ON b.backfill = r.backfill;
