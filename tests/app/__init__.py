"""Tests of the use cases; a package, so that a file may be named like one of tests/store."""
