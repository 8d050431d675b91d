"""A `srun` for tests: `python fake_srun.py [--kill-on-bad-exit=1] COMMAND …` starts the tasks of a job, on this machine.

The allocation comes as `sbatch` leaves it: SLURM_JOB_NUM_NODES, SLURM_NTASKS_PER_NODE. Its SIGTERM is
that of `scancel --signal` to every task; so asked, it tells the others once a task fails; the code is the
highest, 128 and its number for a signal.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import dropwhile


def main(arguments: list[str]) -> int:
    command = list(dropwhile(lambda argument: argument.startswith("-"), arguments))
    nodes, each = int(os.environ["SLURM_JOB_NUM_NODES"]), int(os.environ["SLURM_NTASKS_PER_NODE"])
    shared = {
        "SLURM_NTASKS": str(nodes * each),
        "SLURM_STEP_NUM_TASKS": str(nodes * each),
        "SLURM_STEP_NUM_NODES": str(nodes),
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_STEP_TASKS_PER_NODE": f"{each}(x{nodes})" if nodes > 1 else str(each),
    }
    tasks: list[subprocess.Popen[bytes]] = []

    def tell(number: int, _: object = None) -> None:
        for task in tasks:
            if task.returncode is None:
                os.kill(task.pid, number)  # `send_signal` would take the end of one that has ended

    signal.signal(signal.SIGTERM, tell)
    for index in range(nodes * each):
        own = {
            "SLURM_PROCID": str(index),
            "SLURM_LOCALID": str(index % each),
            "SLURM_NODEID": str(index // each),
        }
        tasks.append(subprocess.Popen(command, env=os.environ | shared | own))
    codes = [0] * len(tasks)
    for _ in tasks:
        ended, status = os.waitpid(-1, 0)
        (index,) = (index for index, task in enumerate(tasks) if task.pid == ended)
        tasks[index].returncode = code = os.waitstatus_to_exitcode(status)
        codes[index] = code if code >= 0 else 128 - code
        if code and "--kill-on-bad-exit=1" in arguments:
            tell(signal.SIGTERM)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
