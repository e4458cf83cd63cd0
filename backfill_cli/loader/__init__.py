"""Users' DAG files and settings: what people write, turned into the frozen values of `core/`."""

may_fork = False
"""Set by the console entry alone, whose process is bfill's own: there DAG files are loaded in a child first."""
