"""Damaged files: named in one sentence with the way out, or computed again to the same bytes; never passed over.

Each file is cut in half, emptied, filled with zeros, given one flipped bit, or taken away.
"""

import shutil
from pathlib import Path

import pytest

from faults.server import content

DAMAGES = {
    "half": lambda content: content[: len(content) // 2],
    "flip": lambda content: (
        content[: len(content) // 2] + bytes([content[len(content) // 2] ^ 0x10]) + content[len(content) // 2 + 1 :]
    ),
    "empty": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
}
FILES = {
    "the first checkpoint": "ckpts/step_00000000.safetensors",
    "a checkpoint": "ckpts/step_00000010.safetensors",
    "the last checkpoint": "ckpts/step_00000060.safetensors",
    "the log": "metrics.jsonl",
    "the config": "config.json",
    "the split": "split.safetensors",
    "the task": "task.safetensors",
    "the checksums": "checksums.json",
    "the provenance": "provenance.json",
    "the phases": "phases.json",
    "the summary": "summary.json",
    "a table": "measures/weight_norm.parquet",
    "a table's description": "measures/weight_norm.json",
}
COMMANDS = {"fast": ("analyze", "show"), "slow": ("train", "analyze", "figures", "report", "show")}
SLOW_DAMAGES = [pytest.param(damage, marks=pytest.mark.slow) for damage in ("empty", "zeros")]
MENDED = ("phases.json", "summary.json", "measures/weight_norm.parquet", "measures/weight_norm.json")
"""Files that the next analysis writes anew."""


def analyzed(stages) -> Path:
    return stages["figures"].before


def damaged(before: Path, folder: Path, name: str, damage: str) -> Path:
    """A copy of a run directory's folder in which one file is damaged."""
    work = Path(shutil.copytree(before, folder))
    path = work / "run" / name
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    return work


@pytest.mark.parametrize("damage", ["half", "flip", *SLOW_DAMAGES])
@pytest.mark.parametrize("what", FILES)
def test_verify_names_it(what, damage, server, stages, tmp_path, fault):
    if (what, damage) == ("the provenance", "flip"):
        pytest.skip("a letter of a version or of the command line is known to nobody else")
    work, name = damaged(analyzed(stages), tmp_path / "work", FILES[what], damage), FILES[what]
    with fault(f"a damaged file: {name.split('/')[0]}"):
        before = content(work)
        answer = server(["verify", "run"], work)
        assert answer["status"] == 2, answer["err"]
        named = [line for line in answer["err"].splitlines() if Path(name).name in line or "optimizer" in line]
        assert named, answer["err"]
        assert content(work) == before


@pytest.mark.parametrize(
    ("damage", "tier"), [("flip", "fast"), *(pytest.param(d, "slow", marks=pytest.mark.slow) for d in DAMAGES)]
)
@pytest.mark.parametrize("what", FILES)
def test_every_command_says_it_or_mends_it(what, damage, tier, server, stages, tmp_path, fault):
    name = FILES[what]
    for command in COMMANDS[tier]:
        work = damaged(analyzed(stages), tmp_path / command, name, damage)
        words = stages["resume"].words if command == "train" else [command, "run"]
        words = stages["analyze"].words if command == "analyze" else words
        if command == "figures":
            words = ["figures", "run", "--only", "weight_norm"]
        if command == "report" and damage != "half":
            continue  # it draws everything, and reads what figures and show read
        with fault(f"{command} with a damaged file: {name.split('/')[0]}"):
            answer = server(words, work)
            assert answer["status"] in (0, 2), answer["err"]
            if answer["status"] == 2 and command != "analyze":
                assert len([line for line in answer["err"].splitlines() if line.startswith("grokinterp: ")]) == 1
                assert str(Path("run")) in answer["err"]
            if command == "analyze" and name in MENDED:
                assert answer["status"] == 0, answer["err"]
                assert content(work) == content(analyzed(stages))


@pytest.mark.parametrize("what", ["the first checkpoint", "a checkpoint", "the last checkpoint"])
@pytest.mark.parametrize("damage", ["flip", pytest.param("half", marks=pytest.mark.slow), *SLOW_DAMAGES])
def test_analysis_goes_on_without_a_damaged_checkpoint_and_says_so(what, damage, server, stages, tmp_path, fault):
    """It is named once; the other rows are those of an undisturbed analysis; restored, everything is."""
    before, name = stages["analyze"].before, FILES[what]
    work = damaged(before, tmp_path / "work", name, damage)
    with fault(f"analyze without a checkpoint: {damage}"):
        answer = server(stages["analyze"].words, work)
        assert answer["status"] == 2
        named = [line for line in answer["err"].splitlines() if Path(name).name in line]
        assert len(named) == 1, answer["err"]
        assert "`grokinterp forget run`" in named[0]
        step = int(Path(name).stem.split("_")[1])
        assert step not in steps_of(work / "run")
        assert steps_of(work / "run") | {step} == steps_of(analyzed(stages) / "run")
        shutil.copy(before / "run" / name, work / "run" / name)
        assert server(stages["analyze"].words, work)["status"] == 0
        assert content(work) == content(analyzed(stages))


def steps_of(run: Path) -> set[int]:
    import pyarrow.parquet as pq

    return set(pq.read_table(run / "measures" / "weight_norm.parquet")["step"].to_pylist())


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    "name", ["ckpts/step_00000010.safetensors", "resume.pt", "checksums.json", "metrics.jsonl", "config.json"]
)
def test_training_does_not_go_on_from_damaged_files(name, damage, server, stages, tmp_path, fault):
    """It is refused in a sentence that names the file, with nothing deleted, or ends with the same bytes."""
    stage = stages["resume"]
    work = damaged(stage.before, tmp_path / "work", name, damage)
    with fault(f"train --resume with a damaged file: {name.split('/')[0]}"):
        before = content(work)
        answer = server(stage.words, work)
        if answer["status"] == 0:
            assert content(work) == stage.after
        else:
            assert answer["status"] == 2, answer["err"]
            assert Path(name).name in answer["err"]
            assert set(content(work)) >= set(before) - {name}


def test_the_checksums_damaged_no_table_is_touched(server, stages, tmp_path, fault):
    work = damaged(analyzed(stages), tmp_path / "work", "checksums.json", "half")
    with fault("analyze with damaged checksums"):
        before = content(work)
        answer = server(stages["analyze"].words, work)
        assert (answer["status"], len(answer["err"].splitlines())) == (2, 1), answer["err"]
        assert "checksums.json is not valid JSON" in answer["err"]
        assert content(work) == before


@pytest.mark.parametrize("line", [b'{"step": 20, "train_lo', b"garbage\n", b"\x00\x00\x00\n", b"[1]\n", b"{}\n"])
@pytest.mark.parametrize("where", ["last", "inside"])
def test_a_damaged_line_of_the_log(line, where, server, stages, tmp_path, fault):
    """At the end it is half a line of a killed process, and dropped; inside it is named."""
    stage = stages["resume"]
    work = stage.start(tmp_path)
    path = work / "run" / "metrics.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, line] if where == "last" else [lines[0], line.rstrip() + b"\n", *lines[1:]]))
    with fault(f"a damaged line of the log: {where}"):
        answer = server(stage.words, work)
        if where == "last":
            assert answer["status"] == 0, answer["err"]
            assert content(work) == stage.after
        else:
            assert answer["status"] == 2
            assert "line 2 of run/metrics.jsonl is damaged; delete that line" in answer["err"]


@pytest.mark.parametrize(
    "damage",
    [
        '"phases": 5',
        '"phases": [1]',
        '"phases": [{"name": "x"}]',
        '"train_loss_spikes": "all"',
        '"train_loss_spikes": [1.5]',
        '"events": []',
        '"events": {"memorization": 5}',
        '"grokking_points": [1]',
        '"grokking_points": {"generalization": 7}',
        '"double_descent": [3]',
        '"last_step": "end"',
        '"memorization_step": 2.5',
        '"leads": null',
    ],
)
def test_a_list_of_the_wrong_kind_in_phases_json_is_refused(damage, server, stages, tmp_path, fault):
    import json

    work = Path(shutil.copytree(analyzed(stages), tmp_path / "work"))
    path = work / "run" / "phases.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | json.loads(f"{{{damage}}}")))
    with fault("phases.json of the wrong kind"):
        for command in ("show", "verify"):
            answer = server([command, "run"], work)
            assert answer["status"] == 2
            assert "phases.json is damaged; `grokinterp analyze run` writes it anew" in answer["err"]
        assert server(stages["analyze"].words, work)["status"] == 0
        assert content(work) == content(analyzed(stages))
