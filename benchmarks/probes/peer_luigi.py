"""COUNT no-op tasks through Luigi: its local scheduler, one worker, a target in memory a task. COUNT STORE

Luigi's workers are processes that are forked for each task; one worker runs them in this process, which is its
quickest way for tasks that do nothing. The store is not used: nothing is durable here.
"""

import sys

import luigi
from luigi.mock import MockTarget


class Nothing(luigi.Task):  # type: ignore[misc]
    number = luigi.IntParameter()

    def output(self) -> MockTarget:
        return MockTarget(f"done-{self.number}")

    def run(self) -> None:
        with self.output().open("w") as target:
            target.write("1")


def main(count: int) -> None:
    done = luigi.build([Nothing(number) for number in range(count)], local_scheduler=True, workers=1, log_level="ERROR")
    assert done


if __name__ == "__main__":
    main(int(sys.argv[1]))
