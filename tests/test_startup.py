"""Starting is quick, because nothing heavy is loaded before it is needed."""

import resource
import subprocess
import sys

import pytest
from conftest import small_config

from grokinterp.runs.rundir import RunDir

HEAVY = ("torch", "transformer_lens", "transformers", "sklearn", "matplotlib", "plotly")


def processor_seconds(arguments) -> float:
    """The least of three starts, of the processor's time: what else runs here does not count."""
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times)


def imported_by(arguments) -> dict[str, int]:
    """Cumulative microseconds by module, from `python -X importtime`."""
    done = subprocess.run([sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True)
    rows = [line.split("|") for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {name.strip(): int(total) for _, total, name in rows if total.strip().isdigit()}


def test_importing_the_package_loads_nothing_heavy_and_takes_under_a_fifth_of_a_second():
    loaded = [imported_by(["-c", "import grokinterp"]) for _ in range(3)]
    assert not set(loaded[0]) & {*HEAVY, "pandas", "numpy", "pydantic"}
    assert min(names["grokinterp"] for names in loaded) < 200_000


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--help"], (*HEAVY, "pandas")),
        (["train", "--help"], (*HEAVY, "pandas")),
        (["import", "--help"], (*HEAVY, "pandas")),
        (["list"], ("torch", "transformer_lens")),
        (["list", "--json"], ("torch", "transformer_lens")),
        (["watch", "--help"], (*HEAVY, "pandas", "rich.live")),
        (["completion", "bash"], (*HEAVY, "pandas")),
    ],
)
def test_help_and_list_need_no_torch(arguments, absent):
    loaded = imported_by(["-m", "grokinterp.cli", *arguments])
    assert "pydantic" in loaded  # it did import something
    assert not set(loaded) & set(absent)


def test_watching_needs_no_torch(tmp_path):
    rundir = RunDir(tmp_path)
    rundir.write_config(small_config())
    rundir.metrics_path.write_text('{"step": 0, "train_loss": 1.0}\n')
    loaded = imported_by(["-m", "grokinterp.cli", "watch", str(tmp_path), "--once"])
    assert "grokinterp.watch.view" in loaded
    assert not set(loaded) & {*HEAVY, "pandas"}


def test_help_is_there_in_half_a_second():
    assert processor_seconds(["-m", "grokinterp.cli", "--help"]) < 0.5


def test_public_names_are_loaded_when_first_used():
    code = (
        "import sys, grokinterp as gi; assert 'torch' not in sys.modules; gi.RunConfig; "
        "assert 'pydantic' in sys.modules and 'torch' not in sys.modules; "
        "missing = [n for n in gi.__all__ if getattr(gi, n, None) is None]; assert not missing, missing; "
        "assert 'torch' in sys.modules and 'transformer_lens' not in sys.modules; "
        "gi.build_model(gi.presets.ci()); assert 'transformer_lens' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
