"""Descriptors 1 and 2 while tasks run: drained, masked, and never the cause of a failure."""

from __future__ import annotations

import subprocess
import sys

CHILD = """
import os, subprocess, sys
from backfill_cli.core.masking import SECRETS
from backfill_cli.engine.strays import diverted
SECRETS.add("hunter22hunter")
with diverted():
    os.write(1, b"one hunter22")
    os.write(1, b"hunter two\\n")
    subprocess.run(["sh", "-c", "echo three hunter22hunter >&2; sleep 30 & echo four"], check=True)
os.write(2, b"back\\n")
os.write(1, b"own\\n")
"""


def test_what_children_and_c_code_write_is_masked_and_all_there_in_the_end() -> None:
    """A process that was left behind holds the pipe open, and is not waited for."""
    ended = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=20, check=True)
    assert ended.stdout == "own\n"
    assert ended.stderr == "one *** two\nthree ***\nfour\nback\n"


BROKEN = """
import os, subprocess, sys
from backfill_cli.engine.strays import diverted
with diverted():
    ended = subprocess.run(["sh", "-c", "for i in 1 2 3 4 5; do echo x; done"])
    os.write(2, b"y" * 100_000)
sys.exit(ended.returncode)
"""


def test_a_broken_stderr_breaks_no_child() -> None:
    command = f"{sys.executable} -c '{BROKEN}' 2>&1 >/dev/null | true; exit ${{PIPESTATUS[0]}}"
    assert subprocess.run(["bash", "-c", command], check=False, timeout=20).returncode == 0
