"""What is exported reads back as what is in the run: tables value by value, checkpoints bit by bit."""

import json

import pandas as pd
import pyarrow.csv
import pyarrow.parquet
import pytest
import safetensors.torch
import torch
from conftest import small_config

import grokinterp as gi
from grokinterp.cli import run_command
from grokinterp.errors import GrokinterpError
from grokinterp.runs.importers import import_run
from grokinterp.tables import read_whole_table

SHORT = {"steps": 8, "checkpoint_every": 8}
NETWORKS = {
    "plain": small_config(train=SHORT),
    "LayerNorm, biases, float64": small_config(
        model={"normalization": "LN", "biases": "all", "n_layers": 2, "causal": False, "activation": "gelu"},
        train={**SHORT, "dtype": "float64"},
    ),
    "every token": small_config(train={**SHORT, "loss_on": "sequence"}),
}
OTHERS = {
    kind: gi.RunConfig.from_mapping({"task": {"p": 7, "frac_train": 0.6}, "model": {"kind": kind}, "train": SHORT})
    for kind in ("mlp", "lstm")
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    found = {name: folder / str(i) for i, name in enumerate([*NETWORKS, *OTHERS])}
    return {name: gi.train(c, found[name], show_progress=False) for name, c in (NETWORKS | OTHERS).items()}


@pytest.fixture(scope="module")
def analyzed(tmp_path_factory):
    run = gi.train(small_config(), tmp_path_factory.mktemp("analyzed") / "run", show_progress=False)
    gi.analyze(run, ["embedding_spectrum", "clock_pizza", "weight_norm"], show_progress=False)
    return run


def tokens_of(run) -> torch.Tensor:
    a, b = run.task.defined.nonzero()
    return torch.from_numpy(run.task.layout.tokens(a, b))


def loaded(file, kind) -> dict[str, torch.Tensor]:
    return torch.load(file, weights_only=True) if kind == "state_dict" else safetensors.torch.load_file(file)


@pytest.mark.parametrize("kind", ["state_dict", "safetensors"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_fresh_hooked_transformer_takes_the_state_dict_strictly_and_has_the_same_logits(
    name, kind, trained, tmp_path
):
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    run = trained[name]
    ending = {"state_dict": "pt", "safetensors": "safetensors"}[kind]
    file, beside = run.export_checkpoint(8, tmp_path / "new" / f"model.{ending}", kind)
    assert beside == tmp_path / "new" / "model.json"
    saved = json.loads(beside.read_text())
    cfg = HookedTransformerConfig(**saved["cfg"], dtype=getattr(torch, saved["dtype"]), device="cpu")
    model = HookedTransformer(cfg)
    model.load_state_dict(loaded(file, kind))
    with torch.no_grad():
        assert torch.equal(model(tokens_of(run)), run.model(8)(tokens_of(run)))
    assert (saved["architecture"], saved["step"]) == ("HookedTransformer", 8)
    assert gi.RunConfig.from_mapping(saved["config"]) == run.config


@pytest.mark.parametrize("name", OTHERS)
def test_the_other_architectures_export_their_own_module(name, trained, tmp_path):
    run = trained[name]
    file, beside = run.export_checkpoint(None, tmp_path / "model.pt")
    saved = json.loads(beside.read_text())
    model = gi.build_model(gi.RunConfig.from_mapping(saved["config"]))
    assert saved["architecture"] == type(model).__name__
    assert "cfg" not in saved
    model.load_state_dict(loaded(file, "state_dict"))
    with torch.no_grad():
        assert torch.equal(model(tokens_of(run)), run.model(8)(tokens_of(run)))


@pytest.mark.parametrize("change", [{"normalization": "post-LN"}, {"attention_rate": 0.5}])
def test_what_no_plain_hooked_transformer_computes_is_refused(change, tmp_path):
    run = gi.train(small_config(model=change, train=SHORT), tmp_path / "run", show_progress=False)
    with pytest.raises(GrokinterpError, match="a plain HookedTransformer does not compute this network"):
        run.export_checkpoint(8, tmp_path / "model.pt")
    assert not (tmp_path / "model.pt").exists()


def test_an_exported_checkpoint_can_be_imported_again(trained, tmp_path):
    run = trained["plain"]
    file, _ = run.export_checkpoint(8, tmp_path / "model.pt")
    import_run(file, tmp_path / "back", given={"task": {"operation": "x+y"}, "model": {"activation": "relu"}})
    back = gi.open(tmp_path / "back")
    assert all(torch.equal(value, back.weights(back.steps[-1])[name]) for name, value in run.weights(8).items())


def test_tables_come_out_as_they_are(analyzed, tmp_path):
    names = analyzed.rundir.tables()
    assert {"clock_pizza", "embedding_spectrum.components", "weight_norm"} <= set(names)
    parquet = analyzed.export_tables(tmp_path / "parquet", "parquet")
    csv = analyzed.export_tables(tmp_path / "csv")
    assert [path.stem for path in csv] == [path.stem for path in parquet] == ["metrics", *names]
    for name in names:
        table = read_whole_table(analyzed.rundir, *name.split("."))
        assert pyarrow.parquet.read_table(tmp_path / "parquet" / f"{name}.parquet") == table
        options = pyarrow.csv.ConvertOptions(
            column_types=table.schema, strings_can_be_null=True, quoted_strings_can_be_null=False
        )
        assert pyarrow.csv.read_csv(tmp_path / "csv" / f"{name}.csv", convert_options=options) == table, name
    metrics = pd.read_csv(tmp_path / "csv" / "metrics.csv")
    pd.testing.assert_frame_equal(metrics, analyzed.metrics, check_exact=True)


def test_a_run_without_tables_gives_its_metrics_and_says_so(trained, tmp_path, capsys):
    assert run_command(["export", str(trained["plain"].path), "--tables", "csv", "--out", str(tmp_path / "t")]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [str(tmp_path / "t" / "metrics.csv")]
    assert "has no tables yet" in captured.err


def test_nothing_is_overwritten_without_force(analyzed, tmp_path, capsys):
    command = ["export", str(analyzed.path), "--tables", "parquet", "--out", str(tmp_path)]
    (tmp_path / "weight_norm.parquet").write_text("mine")
    assert run_command(command) == 2
    assert "weight_norm.parquet is there already; choose another --out, or write over it with --force" in (
        capsys.readouterr().err
    )
    assert [path.name for path in tmp_path.iterdir()] == ["weight_norm.parquet"]
    assert run_command([*command, "--force"]) == 0
    assert len(pd.read_parquet(tmp_path / "weight_norm.parquet")) == len(analyzed.table("weight_norm"))
    (tmp_path / "x.json").write_text("mine")
    checkpoint = ["export", str(analyzed.path), "--step", "0", "--out", str(tmp_path / "x.pt")]
    assert run_command(checkpoint) == 2
    assert "x.json is there already" in capsys.readouterr().err
    assert not (tmp_path / "x.pt").exists()
    assert (tmp_path / "x.json").read_text() == "mine"
    assert run_command([*checkpoint, "--force"]) == 0
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / "x.pt"), str(tmp_path / "x.json")]
    assert "embed.W_E" in torch.load(tmp_path / "x.pt", weights_only=True)


@pytest.mark.parametrize(("kind", "name"), [("safetensors", "x.pt"), ("state_dict", "x.safetensors")])
def test_a_file_is_not_named_as_one_of_another_format(kind, name, analyzed, tmp_path, capsys):
    command = ["export", str(analyzed.path), "--step", "0", "--format", kind, "--out", str(tmp_path / name)]
    assert run_command(command) == 2
    assert f"be a {kind} one; change its ending or the format" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ["--step", "0", "--out", "config.pt"],
        ["--step", "0", "--out", "end.pt"],
        ["--step", "0", "--format", "safetensors", "--out", "ckpts/step_00000300.safetensors"],
        ["--tables", "parquet", "--out", "measures"],
        ["--tables", "csv", "--out", "."],
    ],
    ids=" ".join,
)
def test_nothing_is_exported_among_a_run_s_own_files_even_with_force(words, analyzed, capsys):
    before = {path: path.read_bytes() for path in analyzed.path.rglob("*") if path.is_file()}
    out = str(analyzed.path / words[-1])
    assert run_command(["export", str(analyzed.path), *words[:-1], out, "--force"]) == 2
    assert "is a run directory, whose files an export must not mix with" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in analyzed.path.rglob("*") if path.is_file()} == before
