"""What every format goes through: detection, recomputing, comparing, and a run directory that is whole or not there."""

import errno
import io
import json
import os
import pickle
import re
import signal
import struct
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from layouts import losses, nanda_state, network, save

import grokinterp as gi
from grokinterp.cli import run_command
from grokinterp.errors import GrokinterpError
from grokinterp.runs import importers, tensors
from grokinterp.runs.files import sha256
from grokinterp.runs.importers import import_run
from grokinterp.runs.importers.imported import Imported, mask_of_pairs
from grokinterp.runs.importers.importing import _compare, _rows
from grokinterp.runs.importers.judge import Judge, contradictions
from grokinterp.runs.importers.registry import FORMATS, find_format
from grokinterp.runs.importers.sections import config_of
from grokinterp.runs.importers.source import Source, load_tensors, tensors_in

GIVEN = {"task": {"operation": "x+y"}, "model": {"activation": "relu"}}


def state_file(tmp_path: Path, seed: int = 0) -> Path:
    return save(network(seed)[2], tmp_path / "theirs.pt")


def left_in(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in tmp_path.iterdir())


# Detection ------------------------------------------------------------------------------------


def test_every_format_is_listed_under_its_name_with_what_it_needs():
    folder = Path(importers.__file__).parent
    written = {path.stem for path in folder.glob("*.py") if "\nNAME = " in path.read_text()}
    assert written == set(FORMATS) == {module.__name__.rpartition(".")[2] for module in FORMATS.values()}
    assert all(module.SUMMARY and callable(module.recognise) and callable(module.read) for module in FORMATS.values())


def test_the_readme_names_every_format():
    readme = (Path(gi.__file__).parents[1] / "README.md").read_text()
    section = readme.partition("## Other people's checkpoints")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == sorted(FORMATS)


def test_an_unknown_format_is_refused_with_the_nearest_name(tmp_path):
    with pytest.raises(GrokinterpError, match=r"'nand' is not a format; did you mean nanda\?"):
        find_format(Source(state_file(tmp_path)), "nand")


def test_a_file_in_another_format_is_refused_with_what_it_holds(tmp_path):
    with pytest.raises(GrokinterpError, match=r"not in the format nanda .* it holds a dict of embed.W_E"):
        find_format(Source(state_file(tmp_path)), "nanda")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ({"train_losses": [1.0, 2.0]}, r"no weights, only a dict of train_losses \(a list of 2 numbers\)"),
        ([1, 2], "no weights, only a list of 2 numbers"),
        ({"w": torch.ones(2)}, r"a dict of w \(a tensor \(2,\)\)"),
        ({}, "no weights, only an empty dict"),
        (torch.ones(3), r"a tensor \(3,\)"),
        ("text", "no weights, only a str"),
        (None, "no weights, only a NoneType"),
    ],
)
def test_what_is_in_no_format_is_said_to_hold_what_it_holds(tmp_path, content, what):
    with pytest.raises(GrokinterpError, match=f"is in no format that can be imported .*; it holds {what}"):
        import_run(save(content, tmp_path / "x.pt"), tmp_path / "run")
    assert left_in(tmp_path) == ["x.pt"]


def test_a_folder_without_tensors_is_refused(tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    (folder / "notes.txt").write_text("no checkpoint")
    with pytest.raises(GrokinterpError, match="it holds no file of tensors"):
        import_run(folder, tmp_path / "run")


# Recomputing and comparing --------------------------------------------------------------------


def test_loss_and_accuracy_are_those_of_a_plain_formula():
    config, task, weights = network(3)
    mask = np.random.default_rng(0).random((7, 7)) < 0.5
    expected = losses(config, task, weights, mask)
    found = Judge(config, task).score(weights, mask)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-12)
    share = mask.mean()
    assert found["loss"] == pytest.approx(share * found["train_loss"] + (1 - share) * found["test_loss"], rel=1e-12)
    assert set(Judge(config, task).score(weights, None)) == {"loss", "accuracy"}


def test_contradictions_are_losses_off_by_more_than_their_share_and_accuracies_by_a_thousandth():
    found = {"loss": 1.0, "accuracy": 0.5, "train_loss": 2e-7}
    assert not contradictions({"loss": 1.005, "accuracy": 0.5005, "train_loss": 1e-7}, found, share=0.01)
    assert contradictions({"loss": 1.02}, found, share=0.01) == ["loss is 1.02 in the file, 1 by the weights"]
    assert contradictions({"accuracy": 0.502}, found, share=0.01)
    assert contradictions({"loss": float("nan")}, found, share=0.01)
    assert not contradictions({"test_loss": 9.0}, found, share=0.01)


def test_the_ends_of_the_curves_are_compared_where_they_are_near_the_last_checkpoint():
    config = network()[0]

    def notes(step, value):
        rows = [{"step": step, "test_loss": value}, {"step": 0, "test_loss": 9.0}]
        return _compare(Imported(config, None, (1000,), lambda _: {}, rows), {"test_loss": 1.0}, 1000)

    assert not notes(1000, 1.005)
    assert notes(1000, 1.2) == [
        "test loss is 1.2 in the file, 1 by the weights (logged at step 1000, weights of step 1000)"
    ]
    assert not notes(995, 1.2)
    assert notes(995, 3.0)
    assert not notes(500, 3.0)


def test_rows_are_merged_by_step_and_values_that_are_no_numbers_are_dropped_and_counted():
    rows, notes = _rows(
        [{"step": 5, "train_loss": 1.0}, {"step": 0, "train_loss": float("inf")}, {"step": 5, "test_loss": 2.0}],
        {5: {"train_loss": 9.0, "train_accuracy": 0.5}},
    )
    assert rows == [{"step": 0}, {"step": 5, "train_loss": 1.0, "test_loss": 2.0, "train_accuracy": 0.5}]
    assert any("1 values of its curves are not numbers" in note for note in notes)


def test_a_given_group_does_away_with_the_inferred_modulus():
    inferred = {"task": {"operation": "x+y", "p": 6, "layout": "a b"}}
    config = config_of(inferred, {"task": {"operation": "compose", "group": "S3"}}, "x")
    assert (config.task.group, config.task.p, config.task.layout) == ("S3", None, "a b")
    assert config_of(inferred, {"task": {"operation": "x-y"}}, "x").task.p == 6
    inferred = {"task": {"operation": "x.y", "group": "S3"}}
    assert config_of(inferred, {"task": {"operation": "conjugate"}}, "x").task.group == "S3"
    assert config_of(inferred, {"task": {"operation": "x-y", "p": 6}}, "x").task.group is None


def test_a_mask_of_pairs_marks_each_pair():
    assert mask_of_pairs([0, 2], [1, 1], 3).tolist() == [[False, True, False], [False] * 3, [False, True, False]]


# The run directory ----------------------------------------------------------------------------


def test_an_import_is_a_run_directory_with_its_source_and_no_more(tmp_path):
    path = state_file(tmp_path)
    report = import_run(path, tmp_path / "run", given=GIVEN)
    run = gi.open(tmp_path / "run")
    about = run.rundir.read_provenance()
    assert left_in(run.path) == [
        "checksums.json",
        "ckpts",
        "config.json",
        "lock",
        "metrics.jsonl",
        "provenance.json",
        "task.safetensors",
    ]
    assert (about["engine"], about["format"], about["source"]["name"]) == ("imported", "hooked_folder", "theirs.pt")
    assert about["source"]["sha256"] == {"theirs.pt": sha256(path)}
    assert about["notes"] == list(report.notes)
    assert about["recomputed"] == report.recomputed
    assert str(tmp_path) not in json.dumps({name: about[name] for name in ("source", "notes", "format", "recomputed")})
    assert left_in(tmp_path) == ["run", "theirs.pt"]


def test_the_same_import_gives_the_same_bytes(tmp_path):
    path = state_file(tmp_path)
    for name in ("one", "two"):
        import_run(path, tmp_path / name, given=GIVEN)
    files = [p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*") if p.is_file() and p.name != "lock"]
    assert len(files) == 6
    assert all((tmp_path / "one" / f).read_bytes() == (tmp_path / "two" / f).read_bytes() for f in files)


def test_an_empty_folder_may_be_imported_into_and_another_one_may_not(tmp_path):
    path = state_file(tmp_path)
    (tmp_path / "run").mkdir()
    import_run(path, tmp_path / "run", given=GIVEN)
    before = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    with pytest.raises(GrokinterpError, match="is there already; choose another --out"):
        import_run(path, tmp_path / "run", given=GIVEN)
    assert before == {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    with pytest.raises(GrokinterpError, match="is there already"):
        import_run(path, path, given=GIVEN)


@pytest.mark.parametrize("when", range(5))
def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch, when):
    """Each of the files in turn is the one that does not fit."""
    path, calls, write = state_file(tmp_path), [], tensors.write_bytes

    def full(target, content):
        calls.append(target)
        if len(calls) > when:
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        write(target, content)

    for name in ("grokinterp.runs.tensors.write_bytes", "grokinterp.runs.files.write_bytes"):
        monkeypatch.setattr(name, full)
    with pytest.raises(OSError, match="No space left"):
        import_run(path, tmp_path / "run", given=GIVEN)
    assert len(calls) == when + 1
    assert left_in(tmp_path) == ["theirs.pt"]


def test_a_killed_import_leaves_no_run_and_the_next_one_cleans_up(tmp_path):
    path = state_file(tmp_path)
    code = """
        import os, signal, sys
        from grokinterp.runs.importers import writing
        from grokinterp.runs.importers import import_run
        writing.Draft.finish = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
        import_run(sys.argv[1], sys.argv[2], given={"task": {"operation": "x+y"}, "model": {"activation": "relu"}})
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), path, tmp_path / "run"], check=False)
    assert done.returncode == -signal.SIGKILL
    left = left_in(tmp_path)
    assert len(left) == 2
    assert left[0].startswith(".run.importing.")
    import_run(path, tmp_path / "run", given=GIVEN)
    assert left_in(tmp_path) == ["run", "theirs.pt"]


def test_a_folder_is_read_one_checkpoint_at_a_time(tmp_path, monkeypatch):
    folder = tmp_path / "ckpts"
    folder.mkdir()
    for step in range(6):
        save(network(step)[2], folder / f"step_{step}.pt")
    alive: list[int] = []
    written = []

    def count(rundir, step, weights):
        import gc

        gc.collect()
        alive.append(sum(type(o) is torch.Tensor and o.shape == (8, 16) for o in gc.get_objects()))
        written.append(step)
        return real(rundir, step, weights)

    real = tensors.write_checkpoint
    monkeypatch.setattr("grokinterp.runs.importers.writing.write_checkpoint", count)
    import_run(folder, tmp_path / "run", given=GIVEN)
    assert written == list(range(6))
    assert max(alive) == min(alive)


# Hostile and damaged files --------------------------------------------------------------------


class Code:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch executed",)


def bad_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """Files that must not be read, each with what is said about it."""
    whole = save({"model": nanda_state(network()[2]), "train_losses": [1.0]}, folder / "whole.pth").read_bytes()
    made = {}

    def put(name: str, content: bytes, sentence: str) -> None:
        (folder / name).write_bytes(content)
        made[name] = (folder / name, sentence)

    buffer = io.BytesIO()
    torch.save({"model": network()[2], "extra": Code()}, buffer)
    put("code.pt", buffer.getvalue(), "can't be read without running code in it .*posix.system")
    put("code.pkl.pt", pickle.dumps(Code()), "can't be read without running code in it|damaged")
    put("truncated.pth", whole[: len(whole) // 2], "damaged or no torch file")
    put("flipped.pth", whole[:200] + bytes([whole[200] ^ 255]) + whole[201:-40], "damaged or no torch file")
    put("empty.pt", b"", "damaged or no torch file")
    put("text.pt", b"these are no tensors\n" * 50, "damaged or no torch file|running code")
    put("half.safetensors", safetensors.torch.save(network()[2])[:500], "is damaged")
    put("long_header.safetensors", (2**62).to_bytes(8, "little") + b"{}", "is damaged")
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\\0" * 2**25)
    put("bomb.pt", bomb.getvalue(), "would unpack to")
    far = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 2)  # an archive on two disks, which zipfile will not look into
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, 2**32 - 1, 2**32 - 1, 0)
    put("two_disks.pt", b"PK\x03\x04" + bytes(60) + far + end, "damaged or no torch file")
    buffer = io.BytesIO()
    torch.save({"embed.W_E": torch.zeros(1).expand(2**20, 2**20)}, buffer)
    put("strides.pt", buffer.getvalue(), "more than it holds")
    circle: list = []
    circle.append(circle)
    buffer = io.BytesIO()
    torch.save(circle, buffer)
    put("circle.pt", buffer.getvalue(), "in no format")
    deep: list = []
    for _ in range(300):
        deep = [deep]
    buffer = io.BytesIO()
    torch.save({"model": deep}, buffer)
    put("deep.pt", buffer.getvalue(), "in no format")
    return made


BAD = (
    "code.pt",
    "code.pkl.pt",
    "truncated.pth",
    "flipped.pth",
    "empty.pt",
    "text.pt",
    "half.safetensors",
    "long_header.safetensors",
    "bomb.pt",
    "two_disks.pt",
    "strides.pt",
    "circle.pt",
    "deep.pt",
)


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("command", ["import", "analyze"])
def test_a_file_that_must_not_be_read_is_refused_in_one_sentence(tmp_path, monkeypatch, capsys, name, command):
    files = bad_files(tmp_path)
    assert set(files) == set(BAD)
    path, sentence = files[name]
    monkeypatch.chdir(tmp_path)
    before = left_in(tmp_path)
    tokens = [command, str(path), "--out", "run"] if command == "import" else [command, str(path)]
    assert run_command(tokens) == 2
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 1
    with pytest.raises(GrokinterpError, match=sentence):
        import_run(path, tmp_path / "run")
    assert left_in(tmp_path) == before


def test_a_damaged_file_in_a_folder_is_named(tmp_path):
    folder = tmp_path / "ckpts"
    folder.mkdir()
    for step in range(3):
        save(network(step)[2], folder / f"step_{step}.pt")
    (folder / "step_1.pt").write_bytes((folder / "step_1.pt").read_bytes()[:900])
    with pytest.raises(GrokinterpError, match=r"step_1\.pt is damaged"):
        import_run(folder, tmp_path / "run", given=GIVEN)
    assert left_in(tmp_path) == ["ckpts"]


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    secret = save(network(9)[2], tmp_path / "secret.pt")
    folder = tmp_path / "ckpts"
    folder.mkdir()
    save(network()[2], folder / "step_0.pt")
    (folder / "step_1.pt").symlink_to(secret)
    import_run(folder, tmp_path / "run", given=GIVEN)
    assert gi.open(tmp_path / "run").steps == [0]


def test_names_of_tensors_go_nowhere_near_the_file_system(tmp_path):
    weights = {**network()[2], "../../escape": torch.ones(2)}
    import_run(save(weights, tmp_path / "x.pt"), tmp_path / "run", given=GIVEN)
    assert left_in(tmp_path) == ["run", "x.pt"]
    assert not any("escape" in path.name for path in tmp_path.parent.rglob("escape*"))


def test_tensors_are_found_in_anything_that_holds_them():
    one, two = torch.ones(1), torch.ones(2)
    circle: list = [two]
    circle.append(circle)
    assert {t.numel() for t in tensors_in({"a": [one, {"b": circle}], "c": 3})} == {1, 2}


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(GrokinterpError, match="there is nothing at"):
        import_run(tmp_path / "gone.pt", tmp_path / "run")


def test_loading_a_file_never_unpickles_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GrokinterpError, match="running code"):
        load_tensors(bad_files(tmp_path)["code.pt"][0])
    assert not (tmp_path / "executed").exists()
