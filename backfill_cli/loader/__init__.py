"""Users' DAG files and settings: what people write, turned into the frozen values of `core/`."""
