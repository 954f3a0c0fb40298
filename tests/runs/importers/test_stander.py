"""Stander et al.'s runs: weights and logits as they are, the operation and split of data.parquet, and mismatches."""

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from lookup_networks import logits_by_us, lookup
from torch import nn

import grokinterp as gi
from grokinterp.errors import GrokinterpError
from grokinterp.harmonics.groups import parse_group
from grokinterp.runs.importers import import_run, stander
from grokinterp.runs.importers.numbering import numberings
from grokinterp.runs.importers.source import Source

EVEN_FIRST = next(n for n in numberings("S4") if n.name == "even permutations first")
TABLE = EVEN_FIRST.table("S4")


class SnMLP(nn.Module):
    """Their network, from torch's own layers."""

    def __init__(self, n=24, embed=5, hidden=7, act=F.relu):
        super().__init__()
        self.lembed, self.rembed = nn.Embedding(n, embed), nn.Embedding(n, embed)
        self.linear = nn.Linear(2 * embed, hidden, bias=False)
        self.unembed, self.act = nn.Linear(hidden, n), act

    def forward(self, x, y):
        return self.unembed(self.act(self.linear(torch.cat([self.lembed(x), self.rembed(y)], dim=-1))))


def knowing(table, seed=0):
    """A network that answers as the table says, and has a bias in its unembedding."""
    w, n = lookup(np.asarray(table).tolist()), len(table)
    model = SnMLP(n, n, n * n).double()
    bias = 0.1 * torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    names = {"lembed.weight": w["W_x"], "rembed.weight": w["W_y"], "linear.weight": w["W"].T}
    model.load_state_dict({**names, "unembed.weight": w["W_U"].T, "unembed.bias": bias})
    return model


def logits_of(model, n):
    a, b = torch.arange(n).repeat_interleave(n), torch.arange(n).repeat(n)
    with torch.no_grad():
        return model(a, b).reshape(n, n, n)


def checkpoint(model, decay=1.0, **config):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=decay)
    n, width = model.lembed.weight.shape
    about = {"vocab_size": n, "embed_dim": width, "model_dim": model.linear.weight.shape[0], **config}
    state = {name: w.clone() for name, w in model.state_dict().items()}
    return {"model": state, "optimizer": optimizer.state_dict(), "config": about, "rng": torch.get_rng_state()}


def data(table, share=0.5):
    """Their table of all pairs, in an order of its own, and the pairs that it says are trained on."""
    n, stream = len(table), np.random.default_rng(0)
    left, right = np.divmod(stream.permutation(n * n), n)
    in_train = (np.arange(n * n) < int(share * n * n)).astype(np.uint8)
    named = {"index_left": left, "index_right": right, "index_target": np.asarray(table)[left, right]}
    names = {f"permutation_{side}": [str(i) for i in left] for side in ("left", "right")}
    return pd.DataFrame({**named, **names, "in_train": in_train})


def read(path, **given):
    source = Source(path)
    assert stander.recognise(source)
    return stander.read(source, given)


@pytest.fixture
def folder(tmp_path):
    """Three epochs of a network that knows S4 at the end, and their data."""
    models = {0: SnMLP(24, 24, 576).double(), 128: SnMLP(24, 24, 576).double(), 2000: knowing(TABLE)}
    for epoch, model in models.items():
        torch.save(checkpoint(model), tmp_path / f"{epoch}.pth")
    data(TABLE).to_parquet(tmp_path / "data.parquet")
    return tmp_path, models


def test_a_folder_has_each_epoch_at_the_step_after_it(folder):
    path, models = folder
    imported = read(path)
    assert imported.steps == (1, 129, 2001)
    for epoch, model in models.items():
        found, to = imported.weights(epoch + 1), torch.from_numpy(EVEN_FIRST.ours)
        assert torch.equal(found["embed.W_E"][:24][to], model.lembed.weight)
        assert torch.equal(found["embed.W_E"][24:][to], model.rembed.weight)
        assert torch.equal(found["blocks.0.mlp.W_in"], model.linear.weight.T)
        assert torch.equal(found["unembed.W_U"][:, to], model.unembed.weight.T)
        assert torch.equal(found["unembed.b_U"][to], model.unembed.bias)
        assert not found["blocks.0.mlp.b_in"].any()


def test_the_logits_are_theirs_at_the_elements_renumbered(folder):
    path, models = folder
    imported, to = read(path), torch.from_numpy(EVEN_FIRST.ours)
    ours = logits_by_us(imported)
    torch.testing.assert_close(ours[to][:, to][:, :, to], logits_of(models[2000], 24), rtol=0, atol=1e-12)
    assert (ours.argmax(-1).numpy() == parse_group("S4").table).all()


def test_the_operation_and_the_split_are_those_of_the_data(folder):
    path, _ = folder
    imported = read(path)
    assert (imported.config.task.operation, imported.config.task.group) == ("x.y", "S4")
    assert "data.parquet agrees with 100.0% of the products of S4, with even permutations first" in imported.notes[0]
    rows = pd.read_parquet(path / "data.parquet")
    trained = rows[rows["in_train"] == 1]
    pairs = {
        (EVEN_FIRST.ours[a], EVEN_FIRST.ours[b])
        for a, b in zip(trained["index_left"], trained["index_right"], strict=True)
    }
    assert set(map(tuple, np.argwhere(imported.train_mask))) == pairs
    assert imported.config.task.frac_train == 0.5


def test_a_group_of_their_own_numbering_becomes_the_task(tmp_path):
    shuffled = np.random.default_rng(1).permutation(12)
    table = np.argsort(shuffled)[parse_group("A4").table[np.ix_(shuffled, shuffled)]]
    torch.save(checkpoint(knowing(table)), tmp_path / "5.pth")
    for with_data in (False, True):
        if with_data:
            data(table).to_parquet(tmp_path / "data.parquet")
        imported = read(tmp_path)
        assert np.array_equal(imported.config.task.table, table)
        assert (imported.train_mask is None) is not with_data


def test_one_file_alone_is_what_the_network_computes_and_its_split_unknown(tmp_path):
    torch.save(checkpoint(knowing(parse_group("D5").table)), tmp_path / "64.pth")
    imported = read(tmp_path / "64.pth")
    assert (imported.steps, imported.train_mask, imported.config.task.group) == ((65,), None, "D5")
    assert "the network agrees with 100.0% of the products of D5" in imported.notes[0]


@pytest.mark.parametrize("ending", ["the last checkpoint's", "later ones"])
def test_full_run_has_its_checkpoints_and_perhaps_later_weights(tmp_path, ending):
    models = [SnMLP(6), SnMLP(6), SnMLP(6)]
    states = [{k: w.clone() for k, w in model.state_dict().items()} for model in models]
    last = states[1] if ending == "the last checkpoint's" else states[2]
    content = {
        "model": last,
        "config": {},
        "checkpoints": states[:2],
        "checkpoint_epochs": [0, 2, 4],
        "train_loss": [1.0],
    }
    torch.save(content, tmp_path / "full_run.pth")
    imported = read(tmp_path / "full_run.pth")
    assert imported.steps == ((1, 3) if last is states[1] else (1, 3, 4))
    assert any("called step 4" in note for note in imported.notes) is (last is states[2])
    found = imported.weights(imported.steps[-1])["blocks.0.mlp.W_in"]
    assert torch.equal(found, last["linear.weight"].T)


def test_gelu_is_computed_and_silu_refused(tmp_path):
    model = SnMLP(6, act=F.gelu).double()
    torch.save(checkpoint(model, act_fn="GELU"), tmp_path / "1.pth")
    imported = read(tmp_path, task={"operation": "x+y", "p": 6})
    torch.testing.assert_close(logits_by_us(imported), logits_of(model, 6), rtol=0, atol=1e-12)
    torch.save(checkpoint(model, act_fn="silu"), tmp_path / "1.pth")
    with pytest.raises(GrokinterpError, match="act_fn silu; an mlp here has relu or gelu"):
        read(tmp_path)


def test_what_the_config_and_the_optimizer_contradict_is_reported(tmp_path):
    content = checkpoint(SnMLP(6), decay=0.5, embed_dim=256, optimizer={"wd": 2.0})
    torch.save(content, tmp_path / "1.pth")
    imported = read(tmp_path)
    assert "weight_decay is 2 in the config, and 0.5 in the optimizer's state, which acted" in imported.notes
    assert "embed_dim is 256 in the file's config and 5 by the shapes of its tensors" in imported.notes
    assert imported.config.optimizer.weight_decay == 0.5


@pytest.mark.parametrize(
    "damage", ["a column less", "a pair twice", "a text", "another size", "no parquet", "truncated"]
)
def test_data_that_are_not_the_operation_give_one_sentence(folder, tmp_path, damage):
    path, _ = folder
    rows = data(TABLE)
    if damage == "a column less":
        rows = rows.drop(columns="in_train")
    if damage == "a pair twice":
        rows.loc[0, ["index_left", "index_right"]] = rows.loc[1, ["index_left", "index_right"]]
    if damage == "a text":
        rows["index_target"] = rows["index_target"].astype(str) + "x"
    if damage == "another size":
        rows = data(parse_group("S3").table)
    rows.to_parquet(path / "data.parquet")
    if damage == "no parquet":
        (path / "data.parquet").write_bytes(b"PAR1 and nothing else")
    if damage == "truncated":
        (path / "data.parquet").write_bytes((path / "data.parquet").read_bytes()[:-100])
    with pytest.raises(GrokinterpError, match=r"data\.parquet") as caught:
        import_run(path, tmp_path / "out")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["shapes", "a vector", "epochs", "no state"])
def test_a_damaged_file_gives_one_sentence(tmp_path, damage):
    content = checkpoint(SnMLP(6))
    full = {**content, "checkpoints": [content["model"]], "checkpoint_epochs": [3]}
    if damage == "shapes":
        content["model"]["rembed.weight"] = content["model"]["rembed.weight"][:4]
    if damage == "a vector":
        content["model"]["linear.weight"] = content["model"]["linear.weight"].flatten()
    if damage == "epochs":
        content = {**full, "checkpoint_epochs": []}
    if damage == "no state":
        content = {**full, "checkpoints": [{"lembed.weight": 3}]}
    torch.save(content, tmp_path / "full_run.pth")
    with pytest.raises(GrokinterpError) as caught:
        import_run(tmp_path / "full_run.pth", tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_files_of_something_else_in_the_folder_are_left_out_and_named(folder):
    path, _ = folder
    torch.save({"optimizer": {}}, path / "zzz.pth")
    assert any("zzz.pth holds no SnMLP" in note for note in read(path).notes)


def test_an_imported_run_is_measured(folder, tmp_path):
    path, _ = folder
    report = import_run(path, tmp_path / "out")
    assert report.format == "stander"
    assert report.recomputed["accuracy"] == 1
    run = gi.open(report.path)
    assert run.steps == [1, 129, 2001]
    assert run.snapshot(2001).operand_rows == (slice(0, 24), slice(24, 48))
    assert gi.analyze(run, measures=["accuracy_loss", "weight_norm"], show_progress=False).failed == {}
