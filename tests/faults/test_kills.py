"""kill -9 at any moment of any command: the same command again ends with the same bytes, and nothing is left over."""

import random
import signal

import pytest

from faults.conftest import COMMANDS
from faults.server import content, temporaries

SEEDS = {"fast": range(2), "slow": range(2, 12)}


def differing(found: dict[str, bytes], expected: dict[str, bytes]) -> list[str]:
    return sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))


def goes_on(server, stage, work) -> None:
    """The same command again completes, with the bytes of an undisturbed one and no temporary file."""
    if stage.name == "train" and (work / "run" / "config.json").exists():
        refused = server(stage.words, work)
        if refused["status"]:
            assert (refused["status"], "--resume" in refused["err"]) == (2, True), refused["err"]
    again = server(stage.again, work)
    assert again["status"] == 0, again["err"]
    assert not differing(content(work), stage.after)
    assert not temporaries(work)


def kill_within(server, stage, folder, share: float) -> bool:
    """Kill after that share of the command's time, or earlier if it is over by then."""
    share = max(share, 0.02)
    while share > 0.01:
        work = stage.start(folder)
        answer = server(stage.words, work, signal="SIGKILL", after=share * stage.seconds)
        if answer["status"] == -signal.SIGKILL:
            goes_on(server, stage, work)
            return True
        share, folder = share / 2, folder / "again"
    return False


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("tier", ["fast", pytest.param("slow", marks=pytest.mark.slow)])
def test_kill_at_a_random_moment(name, tier, server, stages, tmp_path, fault):
    for seed in SEEDS[tier]:
        share = random.Random(f"{name} {seed}").random()
        with fault(f"SIGKILL at a random moment: {name}"):
            assert kill_within(server, stages[name], tmp_path / str(seed), share)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("every", [71, pytest.param(3, marks=pytest.mark.slow)])
def test_kill_at_a_file_operation(name, every, server, stages, tmp_path, fault):
    """Before, after and in the middle of writes, syncs, renames and removals."""
    stage = stages[name]
    offset = random.Random(name).randrange(min(every, stage.operations))
    for at in range(1 + offset, stage.operations + 1, every):
        work = stage.start(tmp_path / str(at))
        with fault(f"SIGKILL at a file operation: {name}"):
            assert server(stage.words, work, fault={"at": at})["status"] == -signal.SIGKILL
            goes_on(server, stage, work)
