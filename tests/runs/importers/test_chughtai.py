"""Chughtai et al.'s runs: weights as they are, their split, the group in our numbering, and one published network."""

import json

import numpy as np
import pytest
import torch
from conftest import small_config
from lookup_networks import logits_by_us, logits_of, lookup
from oracles import measured, one

import grokinterp as gi
from grokinterp.errors import GrokinterpError
from grokinterp.harmonics.groups import parse_group
from grokinterp.models.load import load_model
from grokinterp.models.weights import init_weights
from grokinterp.runs.importers import chughtai, import_run
from grokinterp.runs.importers.numbering import numberings
from grokinterp.runs.importers.source import Source
from grokinterp.tasks import build_task

CFG = {
    "lr": 0.002,
    "weight_decay": 0.5,
    "betas": [0.9, 0.97],
    "layers": {"embed_dim": 256, "hidden_dim": 128},
    "model": "OneLayerMLP",
    "group": "CyclicGroup",
    "group_parameter": 7,
    "frac_train": 0.6,
    "seed": 3,
    "num_epochs": 500,
}
SYMMETRIC = {"group": "SymmetricGroup", "group_parameter": 4}


def folder(tmp_path, state, cfg=CFG, **files):
    """A run of theirs; more files by name without the ending .json or .csv, as dict or text."""
    root = tmp_path / "run"
    root.mkdir(exist_ok=True)
    torch.save(state, root / "model.pt")
    if cfg is not None:
        (root / "cfg.json").write_text(json.dumps(cfg))
    for name, content in files.items():
        text = isinstance(content, str)
        (root / (name + (".csv" if text else ".json"))).write_text(content if text else json.dumps(content))
    return root


def read(path, **given):
    source = Source(path)
    assert chughtai.recognise(source)
    return chughtai.read(source, given)


def transformer(p=7, dtype=torch.float32, **model):
    """Our weights, and their state_dict of them."""
    config = small_config(task={"p": p}, model={"biases": "none", **model})
    weights = init_weights(config.model, build_task(config.task).layout, p, dtype)
    aliases = {name: weights["embed.W_E"].clone() for name in ("x_embed", "y_embed")}
    mask = {"blocks.0.attn.mask": torch.ones(3, 3).tril().bool(), "blocks.0.attn.IGNORE": torch.tensor(-1e5)}
    return config, weights, {**aliases, **weights, **mask}


def their_split(seed, n, frac):
    """As their code draws it: the global stream, a shuffle of the list of pairs, and a slice."""
    pairs = [(i, j) for i in range(n) for j in range(n)]
    if seed:
        before = torch.get_rng_state()
        torch.manual_seed(seed)
        pairs = [pairs[k] for k in torch.randperm(n * n)]
        torch.set_rng_state(before)
    return pairs[: int(frac * n * n)]


def test_a_transformer_s_weights_are_bit_equal_and_buffers_and_aliases_dropped(tmp_path):
    config, weights, state = transformer(n_layers=2, d_head=5)
    imported = read(folder(tmp_path, state))
    found = imported.weights(500)
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[name], w) for name, w in weights.items())
    assert imported.steps == (500,)
    assert imported.config.model.model_dump() == {**config.model.model_dump(), "init": "tl"}
    assert (imported.config.task.operation, imported.config.task.p, imported.config.task.layout) == ("x+y", 7, "a b =")
    optimizer = imported.config.optimizer
    assert (optimizer.lr, optimizer.weight_decay, optimizer.betas, optimizer.warmup_steps) == (
        0.002,
        0.5,
        (0.9, 0.97),
        0,
    )
    assert imported.config.train.steps == 500


@pytest.mark.parametrize("seed", [0, 1, 3])
@pytest.mark.parametrize("frac", [0.3, 0.6])
def test_the_split_is_a_slice_of_their_shuffle_and_of_no_shuffle_with_seed_0(tmp_path, seed, frac):
    imported = read(folder(tmp_path, transformer()[2], {**CFG, "seed": seed, "frac_train": frac}))
    assert sorted(map(tuple, np.argwhere(imported.train_mask))) == sorted(their_split(seed, 7, frac))
    assert any("shuffles nothing" in note for note in imported.notes) is (seed == 0)


def test_drawing_the_split_leaves_the_global_stream_alone(tmp_path):
    root, before = folder(tmp_path, transformer()[2]), torch.get_rng_state()
    read(root)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", [n.name for n in numberings("S4")])
def test_an_mlp_gives_its_own_logits_at_the_elements_renumbered(tmp_path, name):
    (numbering,) = [n for n in numberings("S4") if n.name == name]
    state = lookup(numbering.table("S4").tolist())
    noise = torch.Generator().manual_seed(0)
    state = {k: w + 0.01 * torch.randn(w.shape, generator=noise, dtype=w.dtype) for k, w in state.items()}
    imported = read(folder(tmp_path, state, {**CFG, **SYMMETRIC}))
    assert (imported.config.task.operation, imported.config.task.group) == ("x.y", "S4")
    model = imported.config.model
    assert (model.kind, model.input, model.n_layers, model.biases) == ("mlp", "separate", 1, "none")
    ours, theirs, to = logits_by_us(imported), logits_of(state), torch.from_numpy(numbering.ours)
    torch.testing.assert_close(ours[to][:, to][:, :, to], theirs, rtol=0, atol=1e-12)
    assert (ours.argmax(-1).numpy() == parse_group("S4").table).all()
    moved = {(numbering.ours[i], numbering.ours[j]) for i, j in their_split(3, 24, 0.6)}
    assert set(map(tuple, np.argwhere(imported.train_mask))) == moved
    assert "agrees with 100.0% of the products of S4" in imported.notes[0]
    assert name in imported.notes[0]


def test_a_transformer_is_renumbered_by_rows_of_its_embedding_and_columns_of_its_unembedding(tmp_path):
    _, weights, state = transformer(p=24, dtype=torch.float64, init_scale=4.0, init_seed=4)
    state["unembed.b_U"] = weights["unembed.b_U"] = torch.randn(24, generator=torch.Generator().manual_seed(0)).double()
    imported = read(folder(tmp_path, state, {**CFG, **SYMMETRIC}))
    (numbering,) = [n for n in numberings("S4") if n.name in imported.notes[0]][-1:]
    assert not numbering.is_ours, "the untrained network agrees best with another numbering"
    hooked = load_model(imported.config.model, build_task(imported.config.task).layout, weights)
    theirs = torch.tensor([[i, j, 24] for i in range(24) for j in range(24)])
    with torch.no_grad():
        expected = hooked(theirs)[:, -1].reshape(24, 24, 24)
    to, rounding = torch.from_numpy(numbering.ours), 1e-14 * float(expected.abs().max())  # logits are hundreds here
    torch.testing.assert_close(logits_by_us(imported)[to][:, to][:, :, to], expected, rtol=0, atol=rounding)


def test_a_group_in_a_numbering_of_its_own_becomes_the_task(tmp_path):
    shuffled = np.random.default_rng(0).permutation(24)
    table = np.argsort(shuffled)[parse_group("S4").table[np.ix_(shuffled, shuffled)]]
    state = lookup(table.tolist())
    imported = read(folder(tmp_path, state, {**CFG, **SYMMETRIC}))
    assert imported.config.task.operation == "custom"
    assert np.array_equal(imported.config.task.table, table)
    assert "numbering of its own" in imported.notes[0]
    torch.testing.assert_close(logits_by_us(imported), logits_of(state), rtol=0, atol=1e-12)
    assert set(map(tuple, np.argwhere(imported.train_mask))) == set(their_split(3, 24, 0.6))


def test_of_an_untrained_network_the_best_candidate_is_named_with_its_share(tmp_path):
    stream = torch.Generator().manual_seed(1)
    state = {k: torch.randn(w.shape, generator=stream) for k, w in lookup(np.zeros((24, 24), int).tolist()).items()}
    imported = read(folder(tmp_path, state, {**CFG, **SYMMETRIC}))
    assert imported.config.task.group == "S4"
    assert float(imported.notes[0].split("agrees with ")[1].split("%")[0]) < 20


@pytest.mark.parametrize(
    ("group", "n", "task"),
    [("DihedralGroup", 5, "D5"), ("AlternatingGroup", 4, "A4"), ("SymmetricGroup", 3, "S3"), ("CyclicGroup", 6, None)],
)
def test_each_of_their_groups_has_a_name_here(tmp_path, group, n, task):
    table = parse_group(task or f"C{n}").table
    imported = read(folder(tmp_path, lookup(table.tolist()), {**CFG, "group": group, "group_parameter": n}))
    assert imported.config.task.group == task
    assert imported.config.task.layout == "a b"
    assert (logits_by_us(imported).argmax(-1).numpy() == build_task(imported.config.task).table).all()


def test_what_was_published_of_it_comes_along(tmp_path):
    header = ",train_loss,test_loss,train_acc,test_acc,all_loss,logit_x,epoch\n"
    rows = "5,1.5,2.5,0.5,0.25,1.9,7,0\n2,0.5,1.5,1.0,0.5,,7,499\n2,0.25,1.25,1.0,,0.7,7,500\n"
    summary = {"train_loss": 1e-7, "test_acc": 1.0, "all_loss": 3e-7, "epoch": 500, "percent_x": 0.5}
    root = folder(tmp_path, transformer()[2], summary_metrics=summary, metrics=header + rows)
    imported = read(root)
    assert imported.claims == {"train_loss": 1e-7, "test_accuracy": 1.0, "loss": 3e-7}
    first = {"train_loss": 1.5, "test_loss": 2.5, "train_accuracy": 0.5, "test_accuracy": 0.25}
    assert imported.metrics == [
        {"step": 1, **first},
        {"step": 500, "train_loss": 0.5, "test_loss": 1.5, "train_accuracy": 1.0, "test_accuracy": 0.5},
        {"step": 500, "train_loss": 0.25, "test_loss": 1.25, "train_accuracy": 1.0},
    ]
    alone = root / "NAME.pt"
    (root / "model.pt").rename(alone)
    for name in ("cfg.json", "summary_metrics.json"):
        (root / name).rename(root / f"NAME.{name}")
    assert read(alone).claims == imported.claims


def test_losses_over_more_pairs_than_they_averaged_at_once_are_left_out(tmp_path):
    stream, n = torch.Generator().manual_seed(0), 123
    shapes = {"W_x": (n, 2), "W_y": (n, 2), "W": (4, 3), "W_U": (3, n)}
    state = {name: torch.randn(shape, generator=stream) for name, shape in shapes.items()}
    cfg = {**CFG, "group_parameter": n}
    summary = {"train_loss": 38.0, "test_acc": 0.5}
    imported = read(
        folder(tmp_path, state, cfg, summary_metrics=summary, metrics="epoch,test_loss,test_acc\n3,38,0.5\n")
    )
    assert imported.claims == {"test_accuracy": 0.5}
    assert imported.metrics == [{"step": 4, "test_accuracy": 0.5}]
    assert any("sums of 8 means" in note for note in imported.notes)


def test_checkpoints_are_of_the_step_after_their_epoch(tmp_path):
    root, states = folder(tmp_path, transformer()[2]), {}
    (root / "checkpoints").mkdir()
    for epoch in (0, 10, 499):
        states[epoch] = {name: w + epoch for name, w in transformer()[2].items() if w.is_floating_point()}
        torch.save(states[epoch], root / "checkpoints" / f"epoch_{epoch}.pt")
    imported = read(root)
    assert imported.steps == (1, 11, 500)
    assert torch.equal(imported.weights(11)["embed.W_E"], states[10]["embed.W_E"])
    assert torch.equal(imported.weights(500)["embed.W_E"], transformer()[2]["embed.W_E"])


def test_whole_pickled_models_among_the_checkpoints_are_left_out_and_named(tmp_path):
    root = folder(tmp_path, transformer()[2])
    (root / "checkpoints").mkdir()
    torch.save(torch.nn.Linear(2, 2), root / "checkpoints" / "epoch_3.pt")
    imported = read(root)
    assert imported.steps == (500,)
    assert any("checkpoints/ are left out" in note and "Linear" in note for note in imported.notes)


def test_what_the_user_lays_down_wins(tmp_path):
    _, weights, state = transformer(p=24)
    root = folder(tmp_path, state, {**CFG, **SYMMETRIC})
    imported = read(root, task={"operation": "x+y", "p": 24}, optimizer={"lr": 0.5})
    assert (imported.config.task.operation, imported.config.task.group) == ("x+y", None)
    assert imported.config.optimizer.lr == 0.5
    assert torch.equal(imported.weights(500)["embed.W_E"], weights["embed.W_E"])


def test_without_a_config_the_task_must_be_said_and_the_split_is_unknown(tmp_path):
    root = folder(tmp_path, transformer()[2], None)
    with pytest.raises(GrokinterpError, match=r"no cfg.json beside .*--task.operation"):
        read(root)
    imported = read(root, task={"operation": "x+y", "p": 7})
    assert imported.train_mask is None


def test_a_bilinear_network_is_refused_with_the_reason(tmp_path):
    state = {name: torch.zeros(3, 3) for name in ("W_x", "W_y", "W_U")}
    with pytest.raises(GrokinterpError, match="BilinearNet, which multiplies its embeddings"):
        read(folder(tmp_path, state))


@pytest.mark.parametrize(
    ("cfg", "sentence"),
    [
        ({"group": "QuaternionGroup"}, "names the group 'QuaternionGroup'"),
        ({"group": 5}, "has 5 for group, where a text is expected"),
        ({"group_parameter": "7"}, "has '7' for group_parameter, where a number is expected"),
        ({"group_parameter": 7.5}, "whole number"),
        ({"group_parameter": 10**400}, "where a number is expected"),
        ({"group_parameter": 8}, "fewer tokens|has shape|the file has"),
        ({"group": "SymmetricGroup", "group_parameter": 30}, "S30"),
        ({"frac_train": 1.5}, "frac_train"),
        ({"frac_train": None}, "has nothing for frac_train"),
        ({"seed": -1}, "whole number|split_seed"),
        ({"seed": 2**63}, "for seed, where a number is expected"),
        ({"num_epochs": True}, "num_epochs"),
        ({"betas": [2, 3]}, "betas"),
        ({"lr": float("nan")}, "has nan for lr"),
    ],
)
def test_a_config_that_is_wrong_gives_one_sentence(tmp_path, cfg, sentence):
    root = folder(tmp_path, transformer()[2], {**CFG, **cfg})
    with pytest.raises(GrokinterpError, match=sentence) as caught:
        import_run(root, tmp_path / "out", "chughtai")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "damage", ["no W_U", "W is a vector", "W of whole numbers", "W_x of other elements", "truncated"]
)
def test_a_damaged_file_gives_one_sentence(tmp_path, damage):
    state = lookup(parse_group("S3").table.tolist())
    if damage == "W is a vector":
        state["W"] = state["W"].flatten()
    if damage == "W of whole numbers":
        state["W"] = state["W"].long()
    if damage == "W_x of other elements":
        state["W_x"] = state["W_x"][:5]
    root = folder(tmp_path, state, {**CFG, "group": "SymmetricGroup", "group_parameter": 3})
    if damage == "no W_U":
        torch.save({k: w for k, w in transformer()[2].items() if k != "unembed.W_U"}, root / "model.pt")
    if damage == "truncated":
        (root / "model.pt").write_bytes((root / "model.pt").read_bytes()[:2000])
    with pytest.raises(GrokinterpError) as caught:
        import_run(root, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", 'epoch,train_loss\n"1,2\n', "\x00\xff"])
def test_a_table_that_is_none_gives_one_sentence(tmp_path, text):
    root = folder(tmp_path, transformer()[2], metrics=text)
    with pytest.raises(GrokinterpError, match=r"metrics\.csv"):
        read(root)


def test_other_formats_are_not_claimed(tmp_path):
    _, weights, _ = transformer()
    torch.save(weights, tmp_path / "step_1.pt")
    assert not chughtai.recognise(Source(tmp_path / "step_1.pt"))
    assert not chughtai.recognise(Source(tmp_path))
    torch.save([1.0, 2.0], tmp_path / "step_1.pt")
    assert not chughtai.recognise(Source(tmp_path / "step_1.pt"))


@pytest.fixture(scope="module")
def published(foreign, tmp_path_factory):
    out = tmp_path_factory.mktemp("C113") / "run"
    return import_run(foreign / "chughtai" / "C113_T_seed1.pt", out), foreign


def test_the_published_transformer_gives_its_published_numbers(published):
    report, _ = published
    assert report.format == "chughtai"
    assert report.steps == (50_000,)
    assert report.recomputed["loss"] == pytest.approx(1.585161e-7, rel=1e-6)
    assert report.recomputed["train_loss"] == pytest.approx(8.859246e-8, rel=1e-6)  # its summary_metrics.json
    assert report.recomputed["test_loss"] == pytest.approx(1.884755e-7, rel=1e-6)
    assert report.recomputed["accuracy"] == 1


def test_the_published_transformer_is_measured_from_its_run_directory(published):
    report, foreign = published
    run = gi.open(report.path)
    row = one(measured("progress_measures", run.snapshot()), keys="last", split="all")
    assert row["restricted_loss"] == pytest.approx(5.57e-8, rel=1e-3)
    file = torch.load(foreign / "chughtai" / "C113_T_seed1.pt", weights_only=True, map_location="cpu")
    assert all(torch.equal(w, file[name]) for name, w in run.weights(50_000).items())
