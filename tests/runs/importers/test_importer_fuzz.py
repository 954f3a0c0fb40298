"""Any bytes and any contents: an import ends in a run directory or in one sentence, and never in between."""

import io
import tempfile
from pathlib import Path

import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import bridge_state, nanda_state, network

from grokinterp.errors import GrokinterpError
from grokinterp.runs.importers import import_run

STATES = {"hooked": network()[2], "nanda": nanda_state(network()[2]), "bridge": bridge_state(network()[2])}
CONTENTS = {
    "bare": STATES["hooked"],
    "demo": {
        "model": STATES["hooked"],
        "checkpoints": [STATES["hooked"]],
        "checkpoint_epochs": [0],
        "train_losses": [1.0],
        "test_losses": [1.0],
        "config": {"act_fn": "relu", "d_model": 16},
        "train_indices": torch.arange(10),
        "test_indices": torch.arange(10, 49),
    },
    "nanda": {
        "model": STATES["nanda"],
        "train_losses": [1.0],
        "test_losses": [1.0],
        "epoch": 3,
        "config": {"fn_name": "add", "lr": 0.1, "weight_decay": 1.0, "frac_train": 0.3, "p": 7, "seed": 1},
        "train_data": [(0, 1, 7)],
        "optimizer": {"param_groups": [{"weight_decay": 1.0}]},
    },
    "run": {"state_dicts": [STATES["nanda"]], "epochs": [0], "train_losses": [1.0], "test_losses": [1.0]},
    "bridge": {"state_dict": STATES["bridge"], "cfg": {"n_heads": 2, "d_model": 16, "act_fn": "gelu"}, "step": 5},
}
ODD_VALUES = [None, True, -1, 0, 10**30, 0.5, float("nan"), float("inf"), "", "x" * 200, [], [None], [[1.0]], {}]
ODD_TENSORS = [torch.ones(()), torch.ones(3, dtype=torch.int64), torch.full((16, 16), torch.nan), torch.ones(0, 4)]
ODD = [*ODD_VALUES, *ODD_TENSORS]
SETTINGS = settings(derandomize=True, deadline=None, max_examples=60)


def ends_well(content: bytes, suffix: str) -> None:
    """Import these bytes, and look at what is there afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / f"x{suffix}").write_bytes(content)
        try:
            import_run(folder / f"x{suffix}", folder / "run")
            refused = None
        except GrokinterpError as error:
            refused = str(error)
        assert (folder / "run" / "provenance.json").is_file() is (refused is None)
        assert (folder / "run").exists() is (refused is None)
        assert "\n" not in (refused or "")
        assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@given(st.sampled_from(["bare", "nanda"]), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4))
@SETTINGS
def test_flipped_bytes_of_a_torch_file(kind, flips):
    buffer = io.BytesIO()
    torch.save(CONTENTS[kind], buffer)
    content = bytearray(buffer.getvalue())
    for place, value in flips:
        content[place % len(content)] = value
    ends_well(bytes(content), ".pt")


@given(st.binary(max_size=40), st.integers(0, 3000))
@SETTINGS
def test_changed_headers_of_a_safetensors_file(patch, place):
    content = bytearray(safetensors.torch.save(STATES["hooked"]))
    content[place : place + len(patch)] = patch
    ends_well(bytes(content), ".safetensors")


PLACES = [
    (kind, key, inner)
    for kind, content in CONTENTS.items()
    for key, value in content.items()
    for inner in [None, *(value if isinstance(value, dict) else [0] if isinstance(value, list) else [])]
]
"""A file, a key in it, and a key under that or None."""


@given(st.sampled_from(PLACES), st.integers(0, len(ODD) - 1))
@settings(SETTINGS, max_examples=250)
def test_one_odd_value_in_a_file_of_each_layout(place, number):
    kind, key, inner = place
    content, value = dict(CONTENTS[kind]), ODD[number]
    if inner is None:
        content[key] = value
    elif isinstance(content[key], dict):
        content[key] = {**content[key], inner: value}
    else:
        content[key] = [value, *content[key][1:]]
    buffer = io.BytesIO()
    torch.save(content, buffer)
    ends_well(buffer.getvalue(), ".pt")
