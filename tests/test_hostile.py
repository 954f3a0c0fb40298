"""Files and names made to harm: nothing of theirs runs, nothing outside the run is touched, nothing is waited for."""

import html
import json
import os
import pickle
import re
import shutil
import signal
import struct
import zipfile

import pytest
import torch
from conftest import small_config

import grokinterp as gi
from grokinterp.cli import run_command
from grokinterp.config import RunConfig
from grokinterp.runs.importers.source import load_tensors
from grokinterp.runs.tensors import read_checkpoint, read_resume

NAMES = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'> & <b>",
    "$x^{",
    r"$\frac{a}",
    "[bold]x[/bold] [/nope]",
    "100% {title} {0} %s",
    "é" * 200,
]
COMMANDS = ("analyze {} --only accuracy_loss,weight_norm", "figures {}", "report {}", "show {}")


@pytest.fixture(autouse=True)
def patience():
    """A reader that waits for a pipe would wait for ever."""

    def give_up(*_):
        raise TimeoutError("still reading")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def analyzed(tmp_path_factory):
    run = gi.train(small_config(train={"steps": 20}), tmp_path_factory.mktemp("hostile") / "run", show_progress=False)
    gi.analyze(run, ["accuracy_loss", "weight_norm"], show_progress=False, jobs=1)
    return run.path


@pytest.fixture
def run(analyzed, tmp_path):
    """A copy to harm."""
    return gi.open(shutil.copytree(analyzed, tmp_path / "run"))


class Code:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


# Code ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [torch.save, lambda x, path: path.write_bytes(pickle.dumps(x))])
def test_code_in_a_pickle_never_runs(write, run, tmp_path):
    ran = tmp_path / "ran"
    write({"step": Code(ran), "weights": {}}, run.rundir.resume_path)
    with pytest.raises(gi.GrokinterpError, match=r"resume\.pt is damaged"):
        read_resume(run.rundir)
    theirs = tmp_path / "theirs.pt"
    write([Code(ran)], theirs)
    with pytest.raises(gi.GrokinterpError, match=r"theirs\.pt"):
        load_tensors(theirs)
    assert run_command(["analyze", str(theirs), "--out", str(tmp_path / "out")]) == 2
    assert not ran.exists()
    pickle.loads(pickle.dumps(Code(ran)))
    assert ran.exists()  # so it would have


def test_an_operation_s_code_runs_when_training_asks_for_it_and_never_when_a_run_is_opened(tmp_path, capsys):
    ran, source = tmp_path / "ran", tmp_path / "mine.py"
    source.write_text("def operation(x, y):\n    return max(x, y)\n")
    config = small_config(task={"file": str(source), "p": 5}, train={"steps": 10})
    run = gi.train(config, tmp_path / "run", show_progress=False)
    source.write_text(f"import os\nos.mkdir({str(ran)!r})\ndef operation(x, y):\n    return max(x, y)\n")
    for command in COMMANDS:
        assert run_command(command.format(run.path).split()) == 0
    assert gi.open(run.path).task.table.max() == 4
    assert not ran.exists()
    capsys.readouterr()
    small_config(task={"file": str(source), "p": 5})
    assert ran.exists()


# Size ---------------------------------------------------------------------------------------------


def test_an_archive_that_unpacks_to_more_than_it_is_is_not_unpacked(run, tmp_path):
    bomb = tmp_path / "bomb.pt"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(64 * 2**20))
    assert bomb.stat().st_size < 2**20
    with pytest.raises(gi.GrokinterpError, match=r"bomb\.pt would unpack to 67,108,864 bytes"):
        load_tensors(bomb)
    shutil.copy(bomb, run.rundir.resume_path)
    with pytest.raises(gi.GrokinterpError, match=r"resume\.pt is damaged"):
        read_resume(run.rundir)


@pytest.mark.parametrize("length", [2**60, 2**63, 2**64 - 1, 10**9])
def test_a_header_that_claims_to_be_huge_is_not_believed(length, run):
    for path in (run.rundir.checkpoint_path(10), run.rundir.task_path, run.rundir.split_path):
        path.write_bytes(struct.pack("<Q", length) + b'{"x": 1}')
    run.rundir.checksums_path.unlink()
    again = gi.open(run.path)
    for read, name in (
        (lambda: read_checkpoint(run.rundir, 10), "step_00000010"),
        (lambda: again.task, "task"),
        (lambda: again.train_mask, "split"),
    ):
        with pytest.raises(gi.GrokinterpError, match=f"{name}.safetensors is damaged"):
            read()


def test_a_tensor_that_claims_to_be_huge_is_not_allocated(run):
    header = {"embed.W_E": {"dtype": "F32", "shape": [2**40, 2**10], "data_offsets": [0, 2**52]}}
    text = json.dumps(header).encode()
    run.rundir.checkpoint_path(10).write_bytes(struct.pack("<Q", len(text)) + text + bytes(64))
    run.rundir.checksums_path.unlink()
    with pytest.raises(gi.GrokinterpError, match=r"step_00000010\.safetensors is damaged"):
        read_checkpoint(run.rundir, 10)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, '{"step": ' + "9" * 10_000 + "}"])
@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "checksums.json", "phases.json", "end.json"])
def test_brackets_a_hundred_thousand_deep_and_numbers_without_end_are_no_json(text, name, run, capsys):
    (run.path / name).write_text(text + "\n" + text + "\n")
    for command in (COMMANDS[0], COMMANDS[-1]):
        assert run_command(command.format(run.path).split()) in (0, 2)
    assert "Traceback" not in capsys.readouterr().err


# Places -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../../x", "a/b", "/tmp/x", "..", "."])
def test_a_config_s_name_is_no_path(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.toml").write_text(f'name = "{name}"\n[train]\nsteps = 2\n[task]\np = 7\n')
    for more in ([], ["--replicas", "2", "--out", "many"]):
        assert run_command(["train", "--config", "c.toml", *more]) == 2
        assert "name" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["c.toml"]


def test_a_checkpoint_that_links_out_of_the_run_is_read_and_what_it_links_to_is_never_written(run, tmp_path, capsys):
    path, secret = run.rundir.checkpoint_path(10), tmp_path / "secret"
    secret.write_bytes(b"root:x:0:0")
    path.unlink()
    path.symlink_to(secret)
    assert run_command(["analyze", str(run.path), "--only", "weight_norm", "--force"]) == 2
    shown = capsys.readouterr().err
    assert "step_00000010.safetensors does not match its checksum" in shown
    assert "root:x" not in shown
    run.rundir.drop_checkpoints_from(10)
    assert not path.is_symlink()
    assert secret.read_bytes() == b"root:x:0:0"


FILES = (
    "config.json",
    "metrics.jsonl",
    "checksums.json",
    "provenance.json",
    "task.safetensors",
    "split.safetensors",
    "ckpts/step_00000010.safetensors",
    "phases.json",
    "summary.json",
    "measures/accuracy_loss.json",
    "measures/accuracy_loss.parquet",
    "resume.pt",
    "end.json",
)


@pytest.mark.parametrize("name", FILES)
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(name, run, tmp_path, capsys):
    replace_and_read("pipe", name, run, tmp_path, (COMMANDS[0], COMMANDS[-1]))
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "dangling link"])
@pytest.mark.parametrize("name", FILES)
def test_whatever_lies_in_the_place_of_a_file_no_command_waits_or_breaks(kind, name, run, tmp_path, capsys):
    replace_and_read(kind, name, run, tmp_path, (*COMMANDS, "train --config c.toml --out {} --resume"))
    assert "Traceback" not in capsys.readouterr().err


def replace_and_read(kind, name, run, tmp_path, commands):
    """Run the commands on a run of which one file is something else."""
    path = run.path / name
    path.unlink(missing_ok=True)
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case _:
            path.symlink_to(tmp_path / "absent")
    (tmp_path / "c.toml").write_text(small_config(train={"steps": 20}).to_toml())
    for command in commands:
        words = command.replace("c.toml", str(tmp_path / "c.toml")).format(run.path).split()
        assert run_command(words) in (0, 2), command


# Names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_run_s_name_is_text_wherever_it_is_shown(name, analyzed, tmp_path, capsys):
    run = gi.open(shutil.copytree(analyzed, tmp_path / "run"))
    config = RunConfig.from_mapping({**run.config.model_dump(), "name": name})
    run.rundir.write_config(config)
    for command in COMMANDS[1:]:
        assert run_command(command.format(run.path).split()) == 0
    if len(name) < 60:
        assert name in capsys.readouterr().out
    page = (run.path / "report.html").read_text(encoding="utf-8")
    title = f"{html.escape(name)}: {config.task.operation}"
    assert f"<title>{title}</title>" in page
    assert f"<h1>{title}</h1>" in page
    outside = re.sub(
        r"<(script|style)\b.*?</\1>", "", page, flags=re.S
    )  # what is in them tests/reports and tests/browser look at
    tags = set(re.findall(r"<\s*([a-zA-Z!/][a-zA-Z0-9]*)", outside))
    assert not tags & {"img", "b", "iframe", "object", "embed", "link", "base", "form"}
    assert page.count("<script") == page.count("</script>") == 3


def test_a_snapshot_is_of_the_model_s_own_layout(tmp_path):
    config = small_config()
    model = gi.build_model(config)
    assert gi.snapshot(model, config.task).logits.shape == (7, 7, 7)
    for layout in ("a b", "a op b =", "EOS a op b ="):
        other = small_config(task={"layout": layout})
        with pytest.raises(gi.GrokinterpError, match="pass a task with layout 'a b ='"):
            gi.snapshot(model, other.task)
        with pytest.raises(gi.GrokinterpError, match=f"pass a task with layout '{layout}'"):
            gi.snapshot(gi.build_model(other), config.task)
    with pytest.raises(
        gi.GrokinterpError, match=r"8 and n_ctx 3, but .* has 6 tokens in 3 positions; pass the task it"
    ):
        gi.snapshot(model, gi.TaskConfig(p=5))


def test_a_checkpoint_of_another_network_is_refused_by_what_it_lacks(run):
    from grokinterp.runs.tensors import write_checkpoint

    weights = run.weights(10)
    spoiled = {
        "lacks 'blocks.0.attn.W_K'": {k: w for k, w in weights.items() if k != "blocks.0.attn.W_K"},
        "also holds 'blocks.1.attn.W_K'": {**weights, "blocks.1.attn.W_K": weights["blocks.0.attn.W_K"].clone()},
        r"embed.W_E has shape \(8, 15\) and not \(8, 16\)": {**weights, "embed.W_E": weights["embed.W_E"][:, :-1]},
        r"unembed.b_U has shape \(6,\)": {**weights, "unembed.b_U": weights["unembed.b_U"][:-1]},
    }
    for says, changed in spoiled.items():
        write_checkpoint(run.rundir, 10, changed)
        with pytest.raises(gi.GrokinterpError, match=f"checkpoint of step 10 .*{says}|{says}"):
            run.bare_snapshot(10)
    wider = {**weights, "unembed.W_U": torch.cat([weights["unembed.W_U"]] * 2, dim=1), "unembed.b_U": torch.zeros(14)}
    write_checkpoint(run.rundir, 10, wider)
    assert run.bare_snapshot(10).logits.shape == (7, 7, 7)
