"""The server of disturbed commands, and what a run directory holds."""

import json
import os
import subprocess
import sys
from pathlib import Path

NOT_COMPARED = {"lock", "resume.pt", "provenance.json", "run.log"}
"""Locks and logs; wall time in resume.pt and the command line in provenance.json may differ."""


class Server:
    """`forking.py` in a process of its own: one command at a time, disturbed as asked."""

    def __init__(self) -> None:
        script = str(Path(__file__).with_name("forking.py"))
        env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "agg"}
        self._process = subprocess.Popen(
            [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )
        assert self._process.stdout.readline() == "ready\n"

    def __call__(self, argv, cwd, **disturbance) -> dict:
        """See forking.py."""
        job = {"argv": [str(word) for word in argv], "cwd": str(cwd), **disturbance}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert not answer["left"], f"{argv} left processes {answer['left']}"
        assert "Traceback" not in answer["err"], answer["err"]
        return answer

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


def content(folder: Path) -> dict[str, bytes]:
    """Every file that a command computes, by its path in the run directory, with its bytes."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in NOT_COMPARED)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def temporaries(folder: Path) -> list[str]:
    """Temporary files that are left."""
    return [str(path.relative_to(folder)) for path in folder.rglob("*.tmp")]
