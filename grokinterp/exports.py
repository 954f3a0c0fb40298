"""What other programs read: tables as csv or parquet, a checkpoint as a state_dict with the config that builds it."""

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from grokinterp.config import TransformerConfig
from grokinterp.errors import GrokinterpError
from grokinterp.explain import suggest
from grokinterp.runs.files import refuse_file_in_the_way, write_bytes
from grokinterp.runs.rundir import RunDir
from grokinterp.tables import read_whole_table

if TYPE_CHECKING:
    from grokinterp.run import Run

TABLE_KINDS: dict[str, Callable[..., None]] = {"csv": pyarrow.csv.write_csv, "parquet": pyarrow.parquet.write_table}
CHECKPOINT_KINDS = ("state_dict", "safetensors")
ENDINGS = {".pt": "state_dict", ".pth": "state_dict", ".safetensors": "safetensors"}
"""What programs take a file for by its name."""

CFG_FIELDS = (
    *("n_layers", "d_model", "n_heads", "d_head", "d_mlp", "n_ctx", "d_vocab", "d_vocab_out"),
    *("act_fn", "normalization_type", "attention_dir"),
)
"""What of a HookedTransformerConfig our networks set; everything else has TransformerLens's default."""


def export_tables(run: "Run", folder: str | Path, kind: str = "csv", *, overwrite: bool = False) -> list[Path]:
    """Write every table of every measure, and metrics, each into a file of its own.

    Args:
        kind: "csv" (nulls are empty cells, numbers have all their digits) or "parquet".

    Returns:
        The files: metrics.csv, progress_measures.csv, embedding_spectrum.components.csv, ...

    Raises:
        GrokinterpError: one of them is there and `overwrite` is false, the folder is or lies in a run directory,
            a table is damaged, or there is no such kind.
    """
    _check_kind(kind, TABLE_KINDS)
    folder = Path(folder)
    _refuse_run_directory(folder)
    refuse_file_in_the_way(folder)
    tables = {"metrics": pa.Table.from_pandas(run.metrics, preserve_index=False)}
    tables |= {name: read_whole_table(run.rundir, *name.split(".")) for name in run.rundir.tables()}
    contents = {}
    for name, table in tables.items():
        buffer = io.BytesIO()
        TABLE_KINDS[kind](table, buffer)
        contents[folder / f"{name}.{kind}"] = buffer.getvalue()
    return _write(contents, overwrite=overwrite)


def export_checkpoint(
    run: "Run", step: int, file: str | Path, kind: str = "state_dict", *, overwrite: bool = False
) -> list[Path]:
    """Write the checkpoint as a state_dict, and beside it as JSON the config of the module that takes it.

        saved = json.load(open("model.json"))
        cfg = HookedTransformerConfig(**saved["cfg"], dtype=getattr(torch, saved["dtype"]))
        HookedTransformer(cfg).load_state_dict(torch.load("model.pt", weights_only=True))

    An MLP or an LSTM has no cfg: `gi.build_model(gi.RunConfig.from_mapping(saved["config"]))` is its module.

    Args:
        kind: "state_dict" (as torch.save writes it) or "safetensors".

    Returns:
        The file and the JSON file beside it, which has its name with the ending .json.

    Raises:
        GrokinterpError: no such checkpoint, one of the files is there and `overwrite` is false, a file within a run
            directory, or a network that a plain HookedTransformer does not compute.
    """
    _check_kind(kind, CHECKPOINT_KINDS)
    file = Path(file)
    beside = file.with_suffix(".json") if file.name else file
    if file == beside:
        raise GrokinterpError(f"{file} is no name for a checkpoint's file; write one such as model.pt")
    if ENDINGS.get(file.suffix, kind) != kind:
        raise GrokinterpError(
            f"{file} would be taken for a {ENDINGS[file.suffix]} file and be a {kind} one; "
            "change its ending or the format"
        )
    _refuse_run_directory(file.parent)
    refuse_file_in_the_way(file.parent)
    _refuse_own_forward(run)
    model = run.model(step)
    about = {
        "architecture": type(model).__name__,
        "step": step,
        "dtype": str(next(model.parameters()).dtype).removeprefix("torch."),
        **({"cfg": {name: getattr(model.cfg, name) for name in CFG_FIELDS}} if hasattr(model, "cfg") else {}),
        "config": run.config.model_dump(mode="json"),
    }
    text = json.dumps(about, indent=2, allow_nan=False) + "\n"
    return _write({file: _packed(model.state_dict(), kind), beside: text.encode()}, overwrite=overwrite)


def _refuse_run_directory(folder: Path) -> None:
    """No export among a run's own files: `model.json` beside `model.pt` could be its config.json."""
    place = folder.resolve()
    for parent in (place, *place.parents):
        if RunDir(parent).config_path.exists():
            raise GrokinterpError(
                f"{parent} is a run directory, whose files an export must not mix with; choose another --out"
            )


def _check_kind(kind: str, kinds: Any) -> None:
    if kind not in kinds:
        raise GrokinterpError(f"{kind!r} is no format to export to; {suggest(kind, kinds)}")


def _refuse_own_forward(run: "Run") -> None:
    """Networks with the weights of a HookedTransformer, or nearly, that compute something else."""
    model = run.config.model
    if not isinstance(model, TransformerConfig):
        return
    what = "post-LN" if model.normalization == "post-LN" else "attention mixed with uniform"
    if model.normalization == "post-LN" or model.attention_rate < 1:
        raise GrokinterpError(
            f"a plain HookedTransformer does not compute this network ({what}); `run.model(step)` does, and its "
            f"weights lie in {run.rundir.ckpts}"
        )


def _packed(state: Mapping[str, Any], kind: str) -> bytes:
    """The state_dict with its buffers as the bytes of a file."""
    import safetensors.torch
    import torch

    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
    if kind == "safetensors":
        return safetensors.torch.save(tensors)
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    return buffer.getvalue()


def _write(contents: Mapping[Path, bytes], *, overwrite: bool) -> list[Path]:
    """Write all files, or none where one is there already."""
    there = [path for path in contents if path.exists()]
    if there and not overwrite:
        raise GrokinterpError(f"{there[0]} is there already; choose another --out, or write over it with --force")
    for path, content in contents.items():
        write_bytes(path, content)
    return list(contents)
