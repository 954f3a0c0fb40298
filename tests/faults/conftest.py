"""Commands that are disturbed, what they start from, what they must end with, and the count of both."""

import contextlib
import json
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from faults.server import Server, content

SMALL = (
    "ci --task.p 5 --model.d-model 8 --model.n-heads 2 --model.d-mlp 16 --train.steps 60 --train.threads 1"
    " --train.checkpoint-every 10 --train.checkpoint-log-points 4 --train.resume-every 13 --train.batch-size 4"
)
MEASURES = "accuracy_loss,weight_norm,curvature"
COMMANDS = {
    "train": f"train {SMALL} --out run",
    "resume": f"train {SMALL} --out run --resume",
    "analyze": f"analyze run --only {MEASURES} --jobs 2",
    "figures": "figures run --format png",
    "report": "report run",
}


@dataclass(frozen=True)
class Stage:
    """One command: the folder it starts from, its words, the words that go on, what is there in the end."""

    name: str
    before: Path
    words: list[str]
    again: list[str]
    after: dict[str, bytes]
    seconds: float
    operations: int

    def start(self, folder: Path) -> Path:
        """A copy of what the command starts from."""
        return Path(shutil.copytree(self.before, folder / "work"))


@pytest.fixture(scope="session")
def server():
    one = Server()
    yield one
    one.close()


@pytest.fixture(scope="session")
def stages(server, tmp_path_factory) -> dict[str, Stage]:
    """Each command, done once without disturbance."""
    root = tmp_path_factory.mktemp("stages")
    found = {}
    for name, command in COMMANDS.items():
        before, work = root / name, root / f"{name}_work"
        if name == "train":
            before.mkdir()
        elif name == "resume":  # what a kill half-way through training leaves
            shutil.copytree(found["train"].before, before)
            server(found["train"].words, before, fault={"at": found["train"].operations // 2})
        else:
            shutil.copytree(root / ("resume_work" if name == "analyze" else "analyze_work"), before)
        shutil.copytree(before, work)
        words = command.split()
        answer = server(words, work)
        assert answer["status"] == 0, answer["err"]
        again = found["resume"].words if name == "resume" and "resume" in found else words
        again = COMMANDS["resume"].split() if name == "train" else again
        seconds, operations = answer["seconds"], answer["operations"]
        found[name] = Stage(name, before, words, again, content(work), seconds, operations)
    assert found["resume"].after == found["train"].after
    return found


class Tally:
    """Counts what was tried and what was survived."""

    def __init__(self) -> None:
        self.tried, self.survived = Counter(), Counter()

    @contextlib.contextmanager
    def __call__(self, kind: str):
        self.tried[kind] += 1
        yield
        self.survived[kind] += 1


@pytest.fixture
def fault(record_property):
    """`with fault("SIGKILL of analyze"): ...` is one fault tried, and survived if nothing fails inside."""
    tally = Tally()
    yield tally
    record_property("faults", json.dumps({kind: [n, tally.survived[kind]] for kind, n in tally.tried.items()}))
