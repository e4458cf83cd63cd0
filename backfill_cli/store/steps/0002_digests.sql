-- Step 2: a digest of every dag_run, what a DAG's digests come to, and the key they are made with.

ALTER TABLE dag_runs ADD COLUMN digest INTEGER;

ALTER TABLE dags ADD COLUMN digests INTEGER;

ALTER TABLE dags ADD COLUMN attested INTEGER;

-- From SQLite's generator, which the operating system seeds: two stores never have the same key.
INSERT INTO meta (name, value) VALUES ('digest_key', lower(hex(randomblob(32))));
