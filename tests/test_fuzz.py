"""Any config, any words on the command line, any bytes in a run's files: a right value or one sentence, nothing else.

The fast tests take few examples, always the same; `-m slow` takes many more. Files are changed by flipped bits, cuts,
insertions, and values of another kind; what they found stands in test_found.
"""

import io
import json
import random
import re
import shutil
import tomllib
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tomli_w
import torch
from conftest import small_config
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import grokinterp as gi
from grokinterp.cli import run_command
from grokinterp.figures import load_tables, plot, saved_keys, skipped
from grokinterp.measures.registry import builtin_measures
from grokinterp.overrides import load_toml, override
from grokinterp.presets import PRESETS
from grokinterp.runs.rundir import RunDir
from grokinterp.runs.tensors import read_checkpoint, read_resume
from grokinterp.show import print_summary
from grokinterp.sources import Sources
from grokinterp.tables import read_rows
from grokinterp.tasks import build_task
from grokinterp.training.trainer import build_trainer

FEW = settings(derandomize=True, deadline=None, max_examples=60)
MANY = settings(derandomize=True, deadline=None, max_examples=3000)

# Configs ------------------------------------------------------------------------------------------

SECTIONS = {
    name: sorted({field for kind in kinds for field in kind.model_fields})
    for name, kinds in {
        "task": [gi.TaskConfig],
        "model": [gi.TransformerConfig, gi.MLPConfig, gi.LSTMConfig],
        "optimizer": [gi.OptimizerConfig],
        "regularizer": [gi.RegularizerConfig],
        "train": [gi.TrainConfig],
    }.items()
}
WORDS = [
    "x+y",
    "x.y",
    "custom",
    "divide",
    "S3",
    "C7",
    "a b",
    "a op b =",
    "mlp",
    "lstm",
    "sgd",
    "muon",
    "ema",
    "ma",
    "LN",
]
WORDS += ["relu", "gelu", "square", "nanda", "torch", "none", "all", "auto", "cpu", "mse", "sequence", "init", "cosine"]
NUMBERS = [0, 1, 2, 3, 5, 7, 113, 720, 721, -1, 10**30, 2**63, 0.0, 0.3, 0.5, 1.0, 1.5, -0.1, 1e308]
ODD = [
    float("nan"),
    float("inf"),
    "",
    "x" * 300,
    "\x00",
    "\u202e",
    "a\nb",
    "<b>",
    "../x",
    "1",
    "true",
    True,
    False,
    None,
]
SCALARS = st.sampled_from([*WORDS, *NUMBERS, *ODD]) | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["schema_version", "name", *SECTIONS]) | st.text(max_size=6)


@st.composite
def mappings(draw):
    """Sections of fields as they are called, with values of every kind, and now and then something else."""
    found = {}
    for name, fields in SECTIONS.items():
        if draw(st.booleans()):
            names = draw(st.lists(st.sampled_from([*fields, "x"]), max_size=3, unique=True))
            found[name] = {field: draw(VALUES) for field in names}
    if draw(st.integers(0, 3)) == 0:
        found[draw(KEYS)] = draw(VALUES)
    return found


def valid_or_refused(data: object) -> gi.RunConfig | None:
    """The config, which its own texts give back; None where it is refused in one line."""
    try:
        config = gi.RunConfig.from_mapping(data)
    except gi.GrokinterpError:
        return None
    assert gi.RunConfig.from_json(config.to_json()) == config
    again = tomllib.loads(config.to_toml())
    assert gi.RunConfig.from_mapping(again) == config
    assert override(config) == config
    return config


def without_files(data):
    """No file is read: their names are other people's."""
    if isinstance(data, dict) and isinstance(data.get("task"), dict):
        return {**data, "task": {k: v for k, v in data["task"].items() if k != "file"}}
    return data


@FEW
@given(data=mappings())
def test_any_mapping_is_a_config_or_refused(data):
    valid_or_refused(without_files(data))


@pytest.mark.slow
@MANY
@given(data=mappings())
def test_any_of_many_mappings_is_a_config_or_refused(data):
    valid_or_refused(without_files(data))


@FEW
@given(data=VALUES)
def test_what_is_no_mapping_is_refused(data):
    assert isinstance(data, dict) or valid_or_refused(data) is None


def read_as_toml(content: bytes, folder: Path) -> None:
    path = folder / "c.toml"
    path.write_bytes(content)
    said = "c.toml"
    try:
        override(PRESETS["ci"](), load_toml(path))
    except gi.GrokinterpError as error:
        said = str(error)
    assert "c.toml" in said or "the config" in said


TOML = [
    PRESETS["ci"]().to_toml().encode(),
    b'[task]\noperation = "custom"\ntable = [[0, 1], [1, 0]]\n',
    b'name = "x"\n[model]\nkind = "mlp"\n[optimizer]\nbetas = [0.9, 0.98]\n',
]


def toml_examples(n: int, folder: Path) -> None:
    for number in range(n):
        chance = random.Random(number)
        read_as_toml(changed(chance.choice(TOML), chance), folder)


def test_any_change_to_a_toml_file_is_read_or_refused_by_name(tmp_path):
    toml_examples(200, tmp_path)


@pytest.mark.slow
def test_any_of_many_changes_to_a_toml_file_is_read_or_refused_by_name(tmp_path):
    toml_examples(20_000, tmp_path)


@FEW
@given(data=mappings())
def test_a_mapping_written_as_toml_is_what_it_is_as_a_mapping(data, tmp_path_factory):
    data = without_files(data)
    try:
        text = tomli_w.dumps(data)
    except (TypeError, UnicodeEncodeError, ValueError):  # TOML has no null
        return
    path = tmp_path_factory.mktemp("toml") / "c.toml"
    try:
        path.write_text(text, encoding="utf-8")
        found = load_toml(path)
    except (gi.GrokinterpError, UnicodeEncodeError):
        return
    assert (valid_or_refused(dict(found)) is None) is (valid_or_refused(data) is None)


# Command lines ------------------------------------------------------------------------------------

FLAGS = [f"--{section}.{field.replace('_', '-')}" for section, fields in SECTIONS.items() for field in fields]
TOKENS = st.sampled_from(
    [
        *(
            "train",
            "analyze",
            "figures",
            "report",
            "show",
            "list",
            "import",
            "--help",
            "-h",
            "--version",
            "--",
            "-",
            "",
        ),
        *("ci", "quick", "absent", "run", "a_file", "--out", "--config", "--resume", "--only", "--every", "--jobs"),
        *("weight_norm", "--format", "png", "--device", "cpu", "--measure-file", "--replicas", "--full", "--films"),
        *("1", "-1", "7", "1e999", "nan", "x" * 500, "\x00", "\udcff", "a\nb", "--=", "=", "[", "{", "--task", "'"),
        *FLAGS,
    ]
) | st.text(max_size=6)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with nothing to train on or to analyze: commands that would do so fail there."""
    (tmp_path / "a_file").write_text("text")
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("grokinterp.training.start.train_run", "grokinterp.training.replicas.train_together"):
        monkeypatch.setattr(name, lambda *_, **__: (_ for _ in ()).throw(gi.GrokinterpError("training is off here")))
    return tmp_path


def ends_with_a_status(words: list[str]) -> None:
    assert run_command(words) in (0, 1, 2, 130)


def test_any_words_end_with_a_status(place, capsys):
    @FEW
    @given(words=st.lists(TOKENS, min_size=1, max_size=7))
    def check(words):
        ends_with_a_status(words)
        assert "Traceback" not in capsys.readouterr().err

    check()


@pytest.mark.slow
def test_any_of_many_words_end_with_a_status(place, capsys):
    @MANY
    @given(words=st.lists(TOKENS, min_size=1, max_size=9))
    def check(words):
        ends_with_a_status(words)
        assert "Traceback" not in capsys.readouterr().err

    check()


def test_any_value_of_any_flag_ends_with_a_status(place, capsys):
    @settings(FEW, max_examples=150)
    @given(flag=st.sampled_from([flag for flag in FLAGS if flag != "--task.file"]), value=SCALARS.map(str))
    def check(flag, value):
        ends_with_a_status(["train", "ci", flag, value, "--out", "new"])
        assert "Traceback" not in capsys.readouterr().err

    check()


# Files of a run -----------------------------------------------------------------------------------

CONFIG = small_config(task={"outliers": 3}, train={"steps": 20, "checkpoint_log_points": 2})
VALUES_IN_FILES = [b"null", b"-1", b"1e999", b'"x"', b"[]", b"{}", b"true", b"1.5", b"9" * 23, b"NaN", b'""', b"[[1]]"]
VALUES_IN_FILES += [b"9" * 5000, b"-Infinity", b"0"]
WHOLES = [b"", b"null", b"[]", b"{}", b"0", b'"x"', b"\xff\xfe", b"[1]", b'{"step": 1}\n', b"\x00" * 100, b"[[" * 5000]
ITEM = re.compile(rb'-?\d+(\.\d+)?(e-?\d+)?|"[^"]{0,40}"|true|false|null|\{[^{}]{0,200}\}|\[[^\[\]]{0,200}\]')


def changed(content: bytes, chance: random.Random) -> bytes:
    """The content with bits flipped, a part cut, bytes put in, or a value replaced by one of another kind."""
    bytes_, n = bytearray(content), len(content)
    start, end = sorted((chance.randrange(n), chance.randrange(n)))
    kind = chance.randrange(7)
    if kind == 0:
        for _ in range(chance.randint(1, 3)):
            bytes_[chance.randrange(n)] ^= 1 << chance.randrange(8)
    elif kind == 1:
        return content[:start]
    elif kind == 2:
        bytes_[start : start + chance.randint(0, 9)] = chance.randbytes(chance.randint(0, 9))
    elif kind == 3:  # where headers are
        bytes_[chance.randrange(min(n, 600))] = chance.randrange(256)
    elif kind == 4:
        return content[:start] + content[end:]
    elif kind == 5:
        return chance.choice(WHOLES)
    else:
        items = list(ITEM.finditer(content[:200_000]))
        if items:
            item = chance.choice(items)
            return content[: item.start()] + chance.choice(VALUES_IN_FILES) + content[item.end() :]
    return bytes(bytes_)


def _show(run: gi.Run) -> None:
    print_summary(run, Console(file=io.StringIO()))


def _phases(run: gi.Run) -> None:
    _ = run.metrics, run.phases
    _show(run)


def _tables(run: gi.Run) -> None:
    measure = builtin_measures()["weight_norm"]
    read_rows(run.rundir, "weight_norm", "")
    load_tables(run, measure)
    plot(run, "weight_norm")


def _info(run: gi.Run) -> None:
    skipped(run)
    Sources(run.rundir, {"weight_norm": {}}, None).checkpoints(builtin_measures()["weight_norm"])


def _task(run: gi.Run) -> None:
    assert run.task.table.shape == (run.task.layout.n_operand_tokens,) * 2
    assert run.task.table.max() < run.task.n_answers
    _ = run.bare_snapshot(20).labels


def _split(run: gi.Run) -> None:
    assert run.train_mask.dtype == bool
    left, _, label = run.bare_snapshot(20).loss_pairs
    assert len(left) == len(label)


def _resume(run: gi.Run) -> None:
    state = read_resume(run.rundir)
    trainer = build_trainer(CONFIG, build_task(CONFIG.task), RunDir(run.path / "elsewhere"), torch.device("cpu"))
    trainer.restore(state)


def _checkpoint(run: gi.Run) -> None:
    assert run.bare_snapshot(20).logits.shape == (7, 7, 7)


READERS = {
    "config.json": lambda run: _show(gi.open(run.path)),
    "metrics.jsonl": _phases,
    "checksums.json": lambda run: run.weights(20),
    "provenance.json": lambda run: run.rundir.read_provenance(),
    "end.json": lambda run: (run.rundir.read_end(), _show(run)),
    "phases.json": lambda run: (run.leads, _show(run)),
    "summary.json": lambda run: (saved_keys(run), _show(run)),
    "measures/weight_norm.json": _info,
    "measures/weight_norm.parquet": _tables,
    "task.safetensors": _task,
    "split.safetensors": _split,
    "ckpts/step_00000020.safetensors": _checkpoint,
    "resume.pt": _resume,
}
NAMED_AS = {"step_00000020.safetensors": "step 20", "checksums.json": "step_00000020"}
"""What else a sentence about a file may call it."""


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "run"
    run = gi.train(CONFIG, path, show_progress=False)
    gi.analyze(run, ["weight_norm"], show_progress=False, jobs=1)
    run.rundir.write_end(20, "it had grokked")
    return path


@pytest.fixture
def copy(original, tmp_path):
    return Path(shutil.copytree(original, tmp_path / "run"))


def read_changed(name: str, n: int, original: Path, copy: Path) -> Counter:
    """Read a file n times, each time changed otherwise; how often it was refused and how often it was read."""
    content, outcomes = (original / name).read_bytes(), Counter()
    if name.startswith("ckpts/"):
        (copy / "checksums.json").unlink()  # which would find every change
    for number in range(n):
        (copy / name).write_bytes(changed(content, random.Random(f"{name} {number}")))
        said = None
        try:
            READERS[name](gi.open(copy))
        except gi.GrokinterpError as error:
            said = str(error)
        outcomes["read" if said is None else "refused"] += 1
        file = Path(name).name
        assert said is None or file in said or NAMED_AS.get(file, file) in said, (number, said)
    return outcomes


@pytest.mark.parametrize("name", READERS)
def test_a_changed_file_is_refused_by_name_or_read(name, original, copy):
    outcomes = read_changed(name, 40, original, copy)
    assert outcomes.total() == 40
    assert outcomes["refused"] or name == "summary.json"  # of which what is odd is left out


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_a_file_changed_in_a_thousand_ways_is_refused_by_name_or_read(name, original, copy):
    assert read_changed(name, 1000, original, copy).total() == 1000


def test_a_checkpoint_with_its_checksum_is_read_only_as_it_was_written(original, copy):
    content = (original / "ckpts/step_00000020.safetensors").read_bytes()
    for number in range(40):
        other = changed(content, random.Random(number))
        (copy / "ckpts/step_00000020.safetensors").write_bytes(other)
        if other != content:
            with pytest.raises(gi.GrokinterpError, match=r"step_00000020\.safetensors does not match its checksum"):
                read_checkpoint(RunDir(copy), 20)


# What was found -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("task.safetensors", lambda b: b.replace(b'"left"', b'"lefu"')),  # a KeyError
        ("task.safetensors", lambda b: b.replace(b'"n_answers":"7"', b'"n_answers":"x"')),  # a ValueError
        ("task.safetensors", lambda b: b.replace(b'"n_answers":"7"', b'"n_answers":"3"')),  # an IndexError, later
        ("task.safetensors", lambda b: b.replace(b'"layout":"a b ="', b'"layout":"a b ?"')),
        ("task.safetensors", lambda b: b.replace(b"I64", b"F64")),
        ("task.safetensors", lambda b: b[:-8] + b"\x09" + b[-7:]),  # answers or coordinates that are none
        ("split.safetensors", lambda b: b.replace(b'"train_mask"', b'"train_masc"')),
        ("split.safetensors", lambda b: b.replace(b"BOOL", b"U8")),
        ("split.safetensors", lambda b: b.replace(b"[7,7]", b"[49]")),
        ("ckpts/step_00000020.safetensors", lambda b: b.replace(b"blocks.0.attn.W_K", b"blocks.0.attn.w_K")),
        ("checksums.json", lambda b: b'{"x": ' + b"9" * 5000 + b"}"),
        ("config.json", lambda b: b.replace(b'"p": 7', b'"p": ' + b"9" * 5000)),
        ("config.json", lambda b: b.replace(b'"schema_version": 1', b'"schema_version": 0')),
    ],
)
def test_found(name, edit, original, copy):
    content = (original / name).read_bytes()
    spoiled = edit(content)
    assert spoiled != content
    if name.startswith("ckpts/"):
        (copy / "checksums.json").unlink()
    (copy / name).write_bytes(spoiled)
    with pytest.raises(gi.GrokinterpError) as caught:
        READERS[name](gi.open(copy))
    assert Path(name).name in str(caught.value) or "step 20" in str(caught.value)


def test_a_text_in_a_table_that_is_no_utf_8_was_a_unicode_error(copy):
    path = copy / "measures/weight_norm.parquet"
    table = pq.read_table(path)
    where = table.column_names.index("group")
    spoiled = pa.array([b"\xa5"] * len(table)).view(pa.string())
    pq.write_table(table.set_column(where, "group", spoiled), path)
    assert read_rows(RunDir(copy), "weight_norm", "") is None
    with pytest.raises(gi.GrokinterpError, match=r"weight_norm\.parquet is damaged"):
        gi.open(copy).table("weight_norm")


def test_what_is_no_number_in_a_list_was_read_as_one():
    for table in ([[0, True], [1, 0]], [[0, 1.0], [1, 0]], [[0, "1"], [1, 0]]):
        with pytest.raises(gi.GrokinterpError, match=r"whole numbers; \[\d\]\[\d\] is"):
            gi.RunConfig.from_mapping({"task": {"operation": "custom", "table": table}})
    with pytest.raises(gi.GrokinterpError, match=r"optimizer\.betas"):
        gi.RunConfig.from_mapping({"optimizer": {"betas": ["0.9", 0.98]}})
    assert json.loads(gi.RunConfig.from_mapping({"optimizer": {"betas": [0, 0.5]}}).to_json())
