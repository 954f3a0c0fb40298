"""The formats of other people's checkpoints, and the files of a run directory."""

import inspect
from pathlib import Path

from docs.generate.page import Pages, first_paragraph, plain, prose, table
from grokinterp.runs.importers.registry import FORMATS
from grokinterp.runs.rundir import RunDir

HEAD = """# Import formats

`grokinterp import THEIRS --out RUN` looks which format a file or folder is in; `--format NAME` says it. Files are read
as tensors and numbers only. [Own checkpoints](../how-to/own-checkpoints.md) shows how.

"""
FILES = """# Files of a run

A run is a folder. Each file is written beside itself and renamed, so that a killed process leaves whole files; the log
of evaluations grows line by line. Paths are below the run directory.

"""
KINDS = {
    "training": "What training writes",
    "analysis": "What analysis and drawing write",
}


def pages(root: Path) -> Pages:
    """Both pages."""
    del root
    rows = [(f"[`{name}`](#{name})", plain(module.SUMMARY)) for name, module in sorted(FORMATS.items())]
    parts = [f"## {name}\n\n{prose(module.__doc__ or '')}\n" for name, module in sorted(FORMATS.items())]
    formats = HEAD + table(("format", "what it reads"), rows) + "\n" + "\n".join(parts)
    return {"reference/import-formats.md": formats, "reference/run-directory.md": _files()}


def _files() -> str:
    """The properties of RunDir that are paths, with what their docstrings say."""
    rundir = RunDir("ROOT", "OUT")
    found: dict[str, list[tuple[str, str]]] = {"training": [], "analysis": []}
    for name, member in inspect.getmembers_static(RunDir, lambda one: isinstance(one, property)):
        path = getattr(rundir, name)
        if isinstance(path, Path) and member.__doc__:
            kind = "training" if path.parts[0] == "ROOT" else "analysis"
            shown = "/".join(path.parts[1:]) + ("" if path.suffix or path.name == "lock" else "/")
            found[kind].append((f"`{shown}`", first_paragraph(member.__doc__)))
    found["training"].append((f"`{_below(rundir.checkpoint_path(1200))}`", "the weights after 1,200 steps"))
    found["analysis"].append(("`measures/NAME.parquet`, `measures/NAME.PART.parquet`", "the tables of a measure"))
    found["analysis"].append(("`measures/NAME.json`", "its columns, parameters, sources, and what was skipped and why"))
    parts = [f"## {KINDS[kind]}\n\n{table(('file', 'what it holds'), sorted(rows))}" for kind, rows in found.items()]
    return FILES + "\n".join(parts) + MORE


def _below(path: Path) -> str:
    return "/".join(path.parts[1:])


MORE = """
Where a run cannot be written to, `--out DIR` puts what analysis writes into another folder. `gi.open(path, out=DIR)`
does the same in Python.

Weights are a flat dict under TransformerLens names (`embed.W_E`, `blocks.0.attn.W_Q`, ...), as safetensors: any program
that reads safetensors reads them, and `run.model(step)` makes a module with hooks of them.
"""
