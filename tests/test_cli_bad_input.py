"""Bad input is exit status 2 and one sentence that names the fix; nothing on disk changes.

The table is bad_input.json: a command line, and what its sentence must contain. Commands run in a
folder with the files of `_arrange`.
"""

import datetime
import errno
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import small_config
from oracles import pizza_model

import grokinterp as gi
from grokinterp.cli import run_command
from grokinterp.runs import files
from grokinterp.runs.metrics import MetricsLog

TABLE = json.loads(Path(__file__).with_name("bad_input.json").read_text(encoding="utf-8"))
CONFIG = small_config(train={"steps": 20})
FILES = {
    "a_file": b"text",
    "others/photo.jpg": b"\xff\xd8",
    "newer.toml": b"schema_version = 2\n",
    "broken.toml": b"[task\np = 7\n",
    "latin1.toml": b'name = "caf\xe9"\n',
    "section.toml": b"[tasks]\np = 7\n",
    "field.toml": b"[model]\ndmodel = 16\n",
    "type.toml": b'[task]\np = "seven"\n',
    "flat.toml": b"task = 3\n",
    "flat_model.toml": b"model = 3\n",
    "kind.toml": b'[model]\nkind = "rnn"\n',
    "kind_field.toml": b'[model]\nkind = "lstm"\nn_heads = 4\n',
    "no_name.toml": b'name = ""\n',
    "escaping.toml": b'name = "../../elsewhere"\n',
    "crashing.py": b"1 / 0\n",
    "measureless.py": b"measure = 3\n",
    "ops.csv": b"0,1\n1,0\n",
    "header.csv": b"x,0,1\n0,0,1\n1,1,0\n",
    "ragged.csv": b"0,1\n1\n",
    "exiting.py": b"def operation(x, y):\n    raise SystemExit\n",
    "halving.py": b"def operation(x, y):\n    return (x + y) / 2\n",
    "bom.toml": b"\xef\xbb\xbf[task]\np = 1\n",
    "binary.toml": bytes(range(256)),
    "utf16.toml": "[task]\np = 7\n".encode("utf-16"),
    "null.toml": b"name = 'a\x00b'\n",
    "escaped_null.toml": b'name = "a\\u0000b"\n',
    "two_lines.toml": b'name = "a\\nb"\n',
    "long_name.toml": b'name = "' + b"x" * 201 + b'"\n',
    "dots.toml": b'name = ".."\n',
    "twice.toml": b'name = "a"\nname = "b"\n',
    "table_twice.toml": b"[task]\np = 7\n[task]\np = 5\n",
    "third_line.toml": b"[task]\np = 7\nq = \n",
    "mixed_list.toml": b'[optimizer]\nbetas = [0.9, "0.98"]\n',
    "switch_in_list.toml": b"[optimizer]\nbetas = [0.9, true]\n",
    "long_list.toml": b"[optimizer]\nbetas = [0.9, 0.98, 0.99]\n",
    "list.toml": b"task = [1, 2]\n",
    "date.toml": b"[task]\np = 2020-01-01\n",
    "infinite.toml": b"[optimizer]\nlr = 1e999\n",
    "large_seed.toml": b"[train]\nseed = " + b"9" * 30 + b"\n",
    "larger_seed.toml": b"[train]\nseed = " + b"9" * 5000 + b"\n",
    "deep.toml": b"a = " + b"[" * 5000 + b"]" * 5000 + b"\n",
    "deep_table.toml": b"[" + b".".join([b"a"] * 3000) + b"]\n",
    "schema_text.toml": b'schema_version = "1"\n',
    "schema_0.toml": b"schema_version = 0\n",
    "switch.toml": b"[task]\np = true\n",
    "text_switch.toml": b'[model]\ncausal = "yes"\n',
    "number_name.toml": b"name = 3\n",
    "text_table.toml": b'[task]\noperation = "custom"\ntable = [[0, 1], [1, "0"]]\n',
    "switch_table.toml": b'[task]\noperation = "custom"\ntable = [[0, true], [1, 0]]\n',
    "real_table.toml": b'[task]\noperation = "custom"\ntable = [[0, 1.0], [1, 0]]\n',
    "circumflex.toml": '["t\u00e2sk"]\np = 7\n'.encode(),
    "no_key.toml": b'"" = 3\n',
    "key_of_two_lines.toml": b'"a\\nb" = 3\n',
    "colours.toml": b'"\\u001b[31mred" = 3\n',
    "sound.toml": b"[train]\nsteps = 5\n",
    "one.csv": b"0,1\n",
    "nothing.csv": b"",
    "constant.csv": b"0,0\n0,0\n",
    "large.csv": b"0,100000\n1,0\n",
    "semicolons.csv": b"0;1\n1;0\n",
    "null.csv": b"0,\x00\n1,0\n",
    "digits.csv": "\u0660,\u0661\n\u0661,\u0660\n".encode(),
    "negative.csv": b"0,-1\n1,0\n",
    "wide_cell.csv": b"0," + b"1" * 200_000 + b"\n1,0\n",
    "nothing.py": b"def operation(x, y):\n    return None\n",
    "unclosed.py": b"def operation(x, y:\n",
    "endless.py": b"def operation(x, y):\n    return operation(x, y)\n",
    "one_operand.py": b"def operation(x):\n    return x\n",
    "two_lines.py": b"raise ValueError('a\\nb\\nc')\n",
    "small.toml": b'preset = "ci"\nseeds = 2\n[config.train]\nsteps = 5\n',
    "sections.recipe.toml": b'preset = "ci"\n[config.tsk]\np = 7\n',
    "value.recipe.toml": b'preset = "ci"\n[config.task]\np = 1\n',
    "grid.recipe.toml": b'preset = "ci"\n[grid]\n"task.frac_train" = [0.5, 3.0]\n',
    "grid_field.recipe.toml": b'preset = "ci"\n[grid]\n"task.frac_trian" = [0.5]\n',
    "grid_nested.recipe.toml": b'preset = "ci"\n[grid]\ntask.p = [7]\n',
    "grid_value.recipe.toml": b'preset = "ci"\n[grid]\n"task.p" = 7\n',
    "variant.recipe.toml": b'preset = "ci"\n[[variants]]\nname = "a"\ntask = { p = 1 }\n',
    "both.recipe.toml": b'preset = "ci"\n[grid]\n"task.p" = [7]\n[[variants]]\nname = "a"\ntask = { p = 11 }\n',
    "combination.recipe.toml": b'preset = "ci"\n[config]\nmodel = { kind = "mlp" }\ntask = { layout = "a b =" }\n',
    "measure.recipe.toml": b'preset = "ci"\nanalyze = ["weight_nrom"]\n',
    "seeds.recipe.toml": b'preset = "ci"\nseeds = ["a"]\n',
    "escaping.recipe.toml": b'preset = "ci"\nname = "../../elsewhere"\n',
}
LINKS = {"circle.toml": "circle.toml", "nowhere.toml": "absent", "circle": "circle", "circle.csv": "circle.csv"}
CONFIG_EDITS = {
    "newer": lambda text: text.replace('"schema_version": 1', '"schema_version": 99'),
    "broken": lambda text: text[: len(text) // 2],
    "no_config": lambda _: "[1, 2]",
    "bad_value": lambda text: text.replace('"p": 7', '"p": 1'),
}


def _arrange(folder: Path) -> None:
    for name, content in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    for name, target in LINKS.items():
        (folder / name).symlink_to(target)
    (folder / "empty").mkdir()
    (folder / "folder.csv").mkdir()
    (folder / "folder.py").mkdir()
    (folder / "no_file" / "config.json").mkdir(parents=True)
    for name in ("a", "b"):
        (folder / "all_broken" / name).mkdir(parents=True)
        (folder / "all_broken" / name / "config.json").write_text("{")
    (folder / "unfinished.toml").write_text(CONFIG.to_toml())
    run = gi.train(CONFIG, folder / "run", show_progress=False).path
    damaged = ("no_checkpoints", "damaged_task", "missing_task", "damaged_metrics", "unfinished")
    for name in (*CONFIG_EDITS, *damaged, "two/a", "two/b"):
        shutil.copytree(run, folder / name)
    for name, edit in CONFIG_EDITS.items():
        path = folder / name / "config.json"
        path.write_text(edit(path.read_text()))
    _arrange_sweeps(folder, run)
    _arrange_theirs(folder / "theirs")
    shutil.rmtree(folder / "no_checkpoints" / "ckpts")
    (folder / "damaged_task" / "task.safetensors").write_bytes(b"\x00" * 40)
    (folder / "missing_task" / "task.safetensors").unlink()
    metrics = folder / "damaged_metrics" / "metrics.jsonl"
    lines = metrics.read_text().splitlines(keepends=True)
    metrics.write_text(lines[0] + lines[1][:20] + "\n" + lines[2])
    max((folder / "unfinished" / "ckpts").iterdir()).unlink()


def _arrange_theirs(folder: Path) -> None:
    """Other people's checkpoints, most of them with something wrong."""
    (folder / "ckpts").mkdir(parents=True)
    weights = pizza_model(11, ((1, 6.0), (2, 5.0))).state_dict()
    torch.save(weights, folder / "fine.pt")
    content = (folder / "fine.pt").read_bytes()
    place = content.index(weights["unembed.W_U"].numpy().tobytes())
    (folder / "flipped.pt").write_bytes(content[: place + 9] + bytes([content[place + 9] ^ 4]) + content[place + 10 :])
    (folder / "truncated.pt").write_bytes(content[: len(content) // 2])
    torch.save({"model": weights, "when": datetime.date(2024, 1, 1)}, folder / "code.pt")
    torch.save({"losses": [1.0, 0.5]}, folder / "curves.pt")
    torch.save(weights, folder / "ckpts" / "step_0.pt")
    torch.save({"losses": [1.0]}, folder / "ckpts" / "step_1.pt")
    torch.save(weights, folder / "ckpts" / "step_2.pt")


def _arrange_sweeps(folder: Path, run: Path) -> None:
    """Folders of sweeps with something wrong in them, and runs to gather."""
    for name in ("swept/other", "swept_before/small-seed0", "no_summaries/a", "all_damaged"):
        shutil.copytree(run, folder / name)
    for name in ("swept", "swept_before", "logs_file", "results_file"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "recipe.json").write_text("{}")
    for name in ("logs_file/logs", "results_file/results"):
        (folder / name).write_text("")
    (folder / "no_summaries" / "a" / "summary.json").write_text("{}")
    for path in (folder / "all_damaged" / "ckpts").iterdir():
        path.write_bytes(path.read_bytes()[:-9])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("bad_input")
    _arrange(path)
    return path


@pytest.fixture(scope="module")
def before(folder):
    """What lies in the folder; no command of the table changes it."""
    return state(folder)


def state(folder: Path) -> dict[str, tuple[int, str]]:
    """Every path with its time of change and the digest of its bytes; locks are no content."""
    paths = (path for path in folder.rglob("*") if path.name != "lock" and "__pycache__" not in path.parts)
    return {
        str(path): (path.stat().st_mtime_ns, files.sha256(path)) if path.is_file() else (0, "")
        for path in paths
        if path.name != "measures"
    }


def tokens_of(row: dict) -> list[str]:
    """The words of a command; `argv` for those that no shell would let through."""
    return row["argv"] if "argv" in row else shlex.split(row["command"])


def name_of(row: dict) -> str:
    return row.get("command") or ascii(row["argv"])[:80]


def the_sentence(stderr: str) -> str:
    lines = stderr.splitlines()
    assert len(lines) == 1, stderr
    assert lines[0].startswith("grokinterp: ")
    assert "Traceback" not in stderr
    assert len(lines[0]) > 25
    return lines[0]


def test_the_table_is_of_some_size_and_without_repetition():
    commands = [tuple(tokens_of(row)) for row in TABLE]
    assert len(commands) == len(set(commands)) >= 330
    assert all(row["says"] for row in TABLE)


@pytest.mark.parametrize("row", TABLE, ids=name_of)
def test_bad_input_is_one_sentence_and_changes_nothing(row, folder, before, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert run_command(tokens_of(row)) == 2
    captured = capsys.readouterr()
    sentence = the_sentence(captured.err)
    assert captured.out == ""
    for part in row["says"]:
        assert part in sentence
    assert len(sentence) < 1500
    assert sentence.isprintable()
    assert "the config:" not in sentence
    assert state(folder) == before


@pytest.mark.parametrize("command", ["train qick", "train ci --task.p 1", "analyze empty", "analyze run --only zzz"])
def test_it_is_the_same_in_a_process_of_its_own(command, folder):
    before = state(folder)
    arguments = [sys.executable, "-m", "grokinterp.cli", *shlex.split(command)]
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    the_sentence(done.stderr)
    assert state(folder) == before


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_checkpoint_is_named_and_costs_only_its_own_rows(damage, folder, tmp_path, capsys):
    run = shutil.copytree(folder / "run", tmp_path / "run")
    steps = gi.open(run).steps
    path = gi.open(run).rundir.checkpoint_path(steps[2])
    content = path.read_bytes()
    path.write_bytes(content[:-9] if damage == "truncated" else content[:-9] + b"\x7f" + content[-8:])
    before = state(run)
    out = tmp_path / "out"
    assert run_command(["analyze", str(run), "--only", "weight_norm", "--out", str(out)]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if "step_" in line]
    assert len(errors) == 1
    assert path.name in errors[0]
    assert "restore it from a copy" in errors[0]
    assert f"`grokinterp forget {run}`" in errors[0]
    assert state(run) == before
    assert sorted(set(gi.open(run, out=out).table("weight_norm")["step"])) == [s for s in steps if s != steps[2]]


def failing(number: int):
    def fail(*_args, **keywords):
        raise OSError(number, "injected", str(keywords.get("dir", "somewhere")))

    return fail


@pytest.mark.parametrize(
    ("number", "says"),
    [(errno.EROFS, "choose another place with --out"), (errno.EACCES, "--out"), (errno.ENOSPC, "free some space")],
)
@pytest.mark.parametrize("command", ["train --config unfinished.toml --out unfinished --resume", "analyze run"])
def test_a_disk_that_takes_nothing_is_one_sentence(command, number, says, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    before = state(folder)
    monkeypatch.setattr(files.tempfile, "mkstemp", failing(number))
    assert run_command(shlex.split(command)) == 2
    assert says in the_sentence(capsys.readouterr().err)
    assert state(folder) == before


def test_a_disk_that_fills_up_while_training_loses_nothing_but_time(tmp_path, monkeypatch, capsys):
    (tmp_path / "c.toml").write_text(CONFIG.to_toml())
    command = ["train", "--config", str(tmp_path / "c.toml"), "--out", str(tmp_path / "run")]
    append = MetricsLog.append

    def full(log, row):
        if row["step"] >= 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(log, row)

    monkeypatch.setattr(MetricsLog, "append", full)
    assert run_command(command) == 2
    sentence = the_sentence(capsys.readouterr().err)
    assert "the disk is full" in sentence
    assert "--resume" in sentence
    monkeypatch.undo()
    assert run_command([*command, "--resume"]) == 0
    fresh = gi.train(CONFIG, tmp_path / "fresh", show_progress=False)
    for name in ("metrics.jsonl", "checksums.json"):
        assert (tmp_path / "run" / name).read_bytes() == (fresh.path / name).read_bytes()


def test_a_write_that_the_kernel_cuts_short_is_one_sentence_and_no_half_file(tmp_path):
    """A limit on the size of files, as real as a full disk: checkpoints of 3 MB do not fit."""
    limited = f'ulimit -f 200; exec "{sys.executable}" -m grokinterp.cli train ci --model.d-model 256 --out run'
    done = subprocess.run(["sh", "-c", limited], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "too large" in the_sentence(done.stderr)
    assert not list((tmp_path / "run").rglob("*.tmp"))
    assert gi.open(tmp_path / "run").steps == []
