"""Who may import whom, and how large a file or a function may be; read from the source with ast."""

import ast
from pathlib import Path

import pytest

import grokinterp

PACKAGE = Path(grokinterp.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

# From low to high; a unit imports what stands in its row, and nothing else of the package.
# Imports for type checkers count too, except where TYPING_ONLY allows them.
MAY_IMPORT = {
    "errors": set(),
    "explain": set(),
    "group_names": set(),
    "config": {"errors", "explain", "group_names"},
    "overrides": {"config", "errors"},
    "flags": {"config"},
    "arguments": {"errors"},
    "interrupts": set(),
    "exits": {"config", "errors", "explain", "interrupts", "training"},
    "presets": {"config", "overrides"},
    "memory": {"errors"},
    "device": {"errors", "memory"},
    "progress": set(),
    "seeding": set(),
    "curves": set(),
    "spikes": set(),
    "phases": {"spikes"},
    "harmonics": {"group_names"},
    "tasks": {"config", "group_names", "harmonics", "seeding"},
    "trackers": {"errors", "explain"},
    "models": {"config", "errors", "seeding", "tasks"},
    "estimates": {"config", "memory", "models", "tasks"},
    "runs": {"config", "errors", "explain", "harmonics", "models", "tasks"},
    "landscape": {"models", "seeding"},
    "displays": {"errors", "runs"},
    "measures.measure": {"displays"},
    "leads": {"errors", "measures.measure", "phases"},
    "cohort": {"errors", "phases"},
    "tables": {"errors", "measures.measure", "phases", "runs"},
    "exports": {"config", "errors", "explain", "runs", "tables"},
    "run": {"config", "displays", "errors", "exports", "leads", "models", "phases", "runs", "snapshots", "tables"},
    "imports": {"errors", "run", "runs"},
    "snapshots": {"config", "displays", "errors", "harmonics", "models", "tasks"},
    "training": {
        "config",
        "device",
        "errors",
        "estimates",
        "memory",
        "models",
        "phases",
        "progress",
        "run",
        "runs",
        "seeding",
        "tasks",
        "trackers",
    },
    "figure_style": {"errors"},
    "plotting": {"figure_style", "phases", "runs"},
    "measures": {
        "curves",
        "errors",
        "harmonics",
        "landscape",
        "measures.measure",
        "phases",
        "plotting",
        "seeding",
        "snapshots",
        "spikes",
        "tables",
    },
    "measures.registry": {"errors", "measures", "measures.measure"},
    "summary": {"errors", "phases", "run", "runs"},
    "figures": {
        "errors",
        "measures.measure",
        "measures.registry",
        "overview",
        "plotting",
        "progress",
        "run",
        "runs",
        "tables",
    },
    "sources": {"errors", "harmonics", "measures.measure", "runs"},
    "analysis": {
        "device",
        "displays",
        "errors",
        "estimates",
        "leads",
        "measures.measure",
        "measures.registry",
        "memory",
        "phases",
        "progress",
        "run",
        "runs",
        "snapshots",
        "sources",
        "summary",
        "tables",
    },
    "reports": {
        "errors",
        "figures",
        "harmonics",
        "measures.measure",
        "measures.registry",
        "plotting",
        "progress",
        "run",
        "runs",
        "snapshots",
        "summary",
    },
    "show": {"figures", "measures.registry", "phases", "reports", "run", "summary"},
    "json_output": set(),
    "documents": {"figures", "measures.measure", "measures.registry", "reports", "run", "summary"},
    "show_command": {"documents", "json_output", "run", "show"},
    "watch": {"config", "errors", "exits", "explain", "interrupts", "phases", "run", "runs"},
    "overview": {"errors", "plotting", "run"},
    "films": {"errors", "figures", "plotting", "progress", "run", "runs"},
    "sweeps": {
        "analysis",
        "arguments",
        "config",
        "errors",
        "exits",
        "explain",
        "json_output",
        "measures.registry",
        "overrides",
        "presets",
        "progress",
        "runs",
        "summary",
        "training",
    },
    "comparison": {
        "cohort",
        "config",
        "errors",
        "phases",
        "progress",
        "reports",
        "runs",
        "summary",
        "sweeps",
    },
    "pages": {"comparison", "reports", "run"},
    "export_command": {"arguments", "errors", "exits", "run"},
    "import_command": {"exits", "flags", "imports", "overrides", "runs"},
    "commands": {
        "analysis",
        "config",
        "errors",
        "exits",
        "explain",
        "figures",
        "films",
        "measures.registry",
        "plotting",
        "presets",
        "run",
    },
    "recompute": {"errors", "models", "run"},
    "completeness": {"errors", "recompute", "run", "runs", "training"},
    "verify": {
        "completeness",
        "errors",
        "leads",
        "measures.registry",
        "recompute",
        "run",
        "runs",
        "sources",
        "summary",
        "tasks",
    },
    "again": {"config", "device", "errors", "run", "runs", "training"},
    "trust": {"again", "completeness", "errors", "exits", "json_output", "run", "verify"},
    "cli": {
        "__init__",
        "arguments",
        "commands",
        "config",
        "errors",
        "exits",
        "export_command",
        "figures",
        "flags",
        "import_command",
        "interrupts",
        "overrides",
        "pages",
        "presets",
        "reports",
        "run",
        "show",
        "show_command",
        "sweeps",
        "training",
        "trust",
        "watch",
    },
    "__main__": {"cli", "interrupts"},
}
TYPING_ONLY = {  # names in annotations; nothing is loaded
    "displays": {"config", "measures.measure", "run", "snapshots"},
    "exports": {"run"},
    "leads": {"run"},
    "measures.measure": {"tables"},
    "run": {"harmonics", "tasks"},
    "measures": {"run"},
}
LARGE_FILES: dict[str, tuple[int, str]] = {}  # name: a limit of its own, and the reason
MAX_LINES, MAX_FUNCTION = 300, 60


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def unit_of(module: str) -> str:
    """The row of the table that a module belongs to."""
    return module if module in MAY_IMPORT else module.split(".")[0]


def is_module(name: str) -> bool:
    return (PACKAGE / f"{name.replace('.', '/')}.py").exists() or (PACKAGE / name.replace(".", "/")).is_dir()


def imports_of(path: Path, *, typing: bool) -> set[str]:
    """Full names of what a file imports, inside functions too; either for type checkers only or really."""
    tree, found = ast.parse(path.read_text()), set()
    guarded = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    for_types = {id(inner) for node in guarded for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if (id(node) in for_types) != typing:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def of_package(imports: set[str]) -> set[str]:
    """Modules of this package among the imports, without the names taken from them."""
    modules = set()
    for name in imports:
        if name.split(".")[0] != "grokinterp":
            continue
        inside = name.removeprefix("grokinterp").strip(".")
        while inside and not is_module(inside):
            inside = inside.rpartition(".")[0]
        modules.add(inside or "__init__")
    return modules


def allowed(importer: str, imported: str, rows: dict[str, set[str]]) -> bool:
    unit = unit_of(importer)
    row = rows.get(unit, set())
    return imported in row or unit_of(imported) in row


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_the_table_allows(path):
    module = module_of(path)
    if module == "__init__":
        assert not of_package(imports_of(path, typing=False)), "everything public is loaded lazily"
        return
    unit = unit_of(module)
    assert unit in MAY_IMPORT, f"{module} is in no row of the table"
    within = unit in (
        "config",
        "harmonics",
        "tasks",
        "models",
        "runs",
        "landscape",
        "phases",
        "training",
        "snapshots",
        "analysis",
        "reports",
        "comparison",
        "sweeps",
        "trackers",
        "watch",
    )
    for typing, rows in (
        (False, MAY_IMPORT),
        (True, {u: MAY_IMPORT[u] | TYPING_ONLY.get(u, set()) for u in MAY_IMPORT}),
    ):
        for imported in sorted(of_package(imports_of(path, typing=typing))):
            same = within and unit_of(imported) == unit
            assert same or allowed(module, imported, rows), f"{module} must not import {imported}"


def test_the_table_has_no_circle_and_no_row_that_is_gone():
    assert all(is_module(unit) for unit in MAY_IMPORT)
    done: set[str] = {"__init__"}
    units = {u: {unit_of(i) if i not in MAY_IMPORT else i for i in row} - {u} for u, row in MAY_IMPORT.items()}
    while len(done) <= len(units):
        ready = {u for u, row in units.items() if row <= done} - done
        assert ready, f"a circle among {sorted(set(units) - done)}"
        done |= ready


def test_the_table_allows_nothing_that_nobody_uses():
    used: dict[str, set[str]] = {unit: set() for unit in MAY_IMPORT}
    for path in FILES:
        if module_of(path) != "__init__":
            both = imports_of(path, typing=False) | imports_of(path, typing=True)
            used[unit_of(module_of(path))] |= of_package(both)
    for unit, row in MAY_IMPORT.items():
        unused = {i for i in row if not any(i in (m, unit_of(m)) for m in used[unit])}
        assert unused <= {"errors", "phases", "seeding"}, f"{unit} never imports {unused}; take it out of the table"


def test_a_measure_never_imports_another_measure():
    for path in (PACKAGE / "measures").glob("*.py"):
        if path.stem not in ("__init__", "measure", "registry"):
            found = of_package(imports_of(path, typing=False) | imports_of(path, typing=True))
            assert {m for m in found if m.startswith("measures")} <= {"measures.measure"}, path.name


def test_only_two_modules_import_transformer_lens():
    importers = {
        module_of(path)
        for path in FILES
        for name in imports_of(path, typing=False) | imports_of(path, typing=True)
        if name.split(".")[0] == "transformer_lens"
    }
    assert importers == {"models.bridge", "models.transformer"}


def test_the_package_never_imports_tests_analyses_or_notebooks():
    for path in FILES:
        roots = {n.split(".")[0] for n in imports_of(path, typing=False) | imports_of(path, typing=True)}
        assert not roots & {"tests", "conftest", "oracles", "analyses", "notebooks", "pytest", "hypothesis"}, path.name


def test_what_redraws_figures_needs_no_torch_at_import():
    for name in (
        "displays",
        "figure_style",
        "figures",
        "plotting",
        "tables",
        "phases/timeline",
        "leads",
        "cohort",
        "run",
        *(f"reports/{path.stem}" for path in (PACKAGE / "reports").glob("*.py")),
        *(f"comparison/{path.stem}" for path in (PACKAGE / "comparison").glob("*.py")),
        "pages",
        "summary",
        "show",
        "json_output",
        "documents",
        "show_command",
        *(f"watch/{path.stem}" for path in (PACKAGE / "watch").glob("*.py")),
        "cli",
        "overrides",
        "flags",
        "commands",
        "import_command",
        "imports",
        *(f"config/{path.stem}" for path in (PACKAGE / "config").glob("*.py")),
    ):
        tree = ast.parse((PACKAGE / f"{name}.py").read_text())
        top = {a.name for node in tree.body if isinstance(node, ast.Import) for a in node.names}
        top |= {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
        assert not {n for n in top if n.split(".")[0] in ("torch", "transformer_lens", "safetensors")}, name


def test_no_file_is_called_after_nothing():
    names = {path.stem for path in FILES}
    assert not names & {"utils", "util", "helpers", "helper", "common", "misc", "shared"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_and_functions_stay_short(path):
    text = path.read_text()
    limit, _ = LARGE_FILES.get(str(path.relative_to(PACKAGE)), (MAX_LINES, ""))
    assert len(text.splitlines()) <= limit
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < MAX_FUNCTION, node.name


def test_the_list_of_large_files_is_no_longer_than_needed():
    for name, (limit, reason) in LARGE_FILES.items():
        assert MAX_LINES < len((PACKAGE / name).read_text().splitlines()) <= limit, f"{name} needs no exception"
        assert len(reason) > 20
