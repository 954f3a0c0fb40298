"""The public Python API: what stands where, for mkdocstrings to fill in."""

import ast
from pathlib import Path

import grokinterp
from docs.generate.page import Pages, first_paragraph, table

GROUPS = {
    "Runs": ("train", "open", "record", "import_run", "Run"),
    "Tables and figures": ("analyze", "plot", "draw_figures", "report", "plotting"),
    "Many runs": ("train_replicas", "replica_configs", "sweep", "Recipe", "read_recipe", "gather", "read_results"),
    "Networks in memory": ("snapshot", "Snapshot", "build_model", "Task", "build_task", "draw_train_mask"),
    "Config": (
        "presets",
        "RunConfig",
        "TaskConfig",
        "TransformerConfig",
        "MLPConfig",
        "LSTMConfig",
        "OptimizerConfig",
        "RegularizerConfig",
        "TrainConfig",
    ),
    "Own measures": ("Measure", "Part", "Column"),
    "Errors": ("GrokinterpError", "NotApplicableError"),
}
ELSEWHERE = {"presets"}
"""Modules with a page of their own."""

HEAD = """# Python API

Everything public is an attribute of `grokinterp` and loaded when it is first used.

```python
import grokinterp as gi
```

"""
FOLDER = "reference/api/"
DEFINITIONS = "reference/definitions/"
MODULES = ("harmonics", "landscape")
SINGLE = ("curves", "spikes", "leads")
LAST_FOUND = "---\nsearch:\n  boost: 0.2\n---\n\n"
"""What a reader searches for stands on other pages first."""

ABOUT_DEFINITIONS = """# Definitions

What several measures compute with: pure functions on arrays, with their formulas. They are no public API, and their
names may change; what they compute is part of the reference.

"""


def pages(root: Path) -> Pages:
    """The API, a page a group (whatever is in no group comes last); the definitions, a page a module."""
    known = {name for names in GROUPS.values() for name in names}
    rest = tuple(name for name in grokinterp.__all__ if name not in known)
    groups = {**GROUPS, **({"More": rest} if rest else {})}
    rows, made = [], {}
    for title, names in groups.items():
        path = f"{title.lower().replace(' ', '-')}.md"
        public = [name for name in names if name in grokinterp.__all__]
        rows.append((f"[{title}]({path})", ", ".join(f"`gi.{name}`" for name in public)))
        made[FOLDER + path] = f"# {title}\n\n" + "\n".join(_entry(name) for name in public)
    return {f"{FOLDER}index.md": HEAD + table(("page", "names"), rows)} | made | _definitions(root)


def _entry(name: str) -> str:
    if name in ELSEWHERE:
        return f"## gi.{name}\n\n[The presets](../presets.md) are functions of this module.\n"
    options = f"      heading: gi.{name}\n      toc_label: gi.{name}\n      heading_level: 2\n"
    return f"::: grokinterp.{name}\n    options:\n{options}"


def _definitions(root: Path) -> Pages:
    package = root / "grokinterp"
    names = [f"{folder}.{path.stem}" for folder in MODULES for path in sorted((package / folder).glob("[a-z]*.py"))]
    rows, made = [], {}
    for name in (*names, *SINGLE):
        path = package / f"{name.replace('.', '/')}.py"
        source = path if path.exists() else path.with_suffix("") / "__init__.py"
        docstring = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
        rows.append((f"[`{name}`]({name}.md)", first_paragraph(docstring)))
        options = "      show_root_heading: false\n      show_root_toc_entry: false\n      heading_level: 2\n"
        made[f"{DEFINITIONS}{name}.md"] = (
            f"{LAST_FOUND}# {name} {{: #grokinterp.{name} }}\n\n::: grokinterp.{name}\n    options:\n{options}"
        )
    return {f"{DEFINITIONS}index.md": ABOUT_DEFINITIONS + table(("module", "what it has"), rows)} | made
