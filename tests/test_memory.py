"""What does not fit is refused with the numbers before anything is allocated; estimates against measured peaks."""

import json
import subprocess
import sys

import pytest
from conftest import small_config

import grokinterp as gi
from grokinterp import device, memory
from grokinterp.cli import run_command
from grokinterp.estimates import analysis_estimate, training_estimate
from grokinterp.memory import HEADROOM, Estimate, available_bytes, check

PEAK = """
import json, sys
import torch
torch.set_num_threads(1)
import grokinterp as gi
from grokinterp.training.start import check_memory

def kilobytes(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))

def train(spec, folder):
    steps = {"steps": 2, "eval_every": 1, "resume_every": 1, "checkpoint_every": 1}
    config = gi.RunConfig.from_mapping({**spec, "train": {**steps, **spec.get("train", {})}})
    return gi.train(config, folder, show_progress=False)

folder, spec, whole = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3] == "analyze"
small = train({"task": {"p": 7, "frac_train": 0.5}, "model": {"d_model": 8, "n_heads": 2}}, folder + "/small")
if whole:
    run = train(spec, folder + "/run")
    gi.analyze(small, show_progress=False, jobs=1)
before = kilobytes("VmRSS")
open("/proc/self/clear_refs", "w").write("5")  # the peak from now on
gi.analyze(run, show_progress=False, jobs=1) if whole else train(spec, folder + "/run")
print(1024 * (kilobytes("VmHWM") - before))
"""

TRAINED = {
    "one block by hand": {"task": {"p": 223, "frac_train": 0.5}},
    "a wide block": {"task": {"p": 31}, "model": {"d_model": 1024, "n_heads": 8}},
    "two blocks": {"task": {"p": 113}, "model": {"n_layers": 2}},
    "LayerNorm": {"task": {"p": 59}, "model": {"normalization": "LN", "d_model": 256}},
    "an mlp": {"task": {"p": 31}, "model": {"kind": "mlp", "d_hidden": 2048, "n_layers": 3}},
    "an lstm": {"task": {"p": 97}, "model": {"kind": "lstm", "d_hidden": 512}},
    "three terms": {"task": {"p": 48, "operation": "x+y+z"}},
    "a window of gradients": {
        "task": {"p": 31},
        "model": {"d_model": 512},
        "regularizer": {"grokfast": "ma", "grokfast_window": 20},
        "train": {"steps": 20, "resume_every": 10},
    },
}
ANALYZED = {
    "many pairs": {"task": {"p": 149}, "model": {"d_model": 32, "n_heads": 2}},
    "a wide mlp": {"task": {"p": 31}, "model": {"kind": "mlp", "d_hidden": 1024}},
}


def measured(spec: dict, what: str, folder) -> int:
    """Bytes that a process of its own takes at its peak, beyond what it has before."""
    arguments = [sys.executable, "-c", PEAK, str(folder), json.dumps(spec), what]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return int(done.stdout.split()[-1])


def config_of(spec: dict) -> gi.RunConfig:
    return gi.RunConfig.from_mapping({**spec, "train": {"steps": 20, **spec.get("train", {})}})


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_training_takes_what_was_estimated_within_a_factor_of_two(name, tmp_path):
    peak, estimate = measured(TRAINED[name], "train", tmp_path), training_estimate(config_of(TRAINED[name])).total
    assert 0.5 < estimate / peak < 2, (estimate, peak)


@pytest.mark.slow
@pytest.mark.parametrize("name", ANALYZED)
def test_an_analysis_takes_what_was_estimated_within_a_factor_of_two(name, tmp_path):
    peak, estimate = measured(ANALYZED[name], "analyze", tmp_path), analysis_estimate(config_of(ANALYZED[name])).total
    assert 0.5 < estimate / peak < 2, (estimate, peak)


def test_one_measured_peak_is_among_the_fast_tests(tmp_path):
    spec = TRAINED["one block by hand"]
    assert 0.5 < training_estimate(config_of(spec)).total / measured(spec, "train", tmp_path) < 2


def test_what_is_kept_of_the_weights_is_counted():
    """W, its gradient, what the optimizer keeps, and the resume file of W and of that."""
    base = {"task": {"p": 31}, "model": {"d_model": 1024, "n_heads": 8}}
    part = "the weights, their gradients and the optimizer"

    def bytes_of(**changes):
        return training_estimate(gi.RunConfig.from_mapping({**base, **changes})).parts[part]

    n_bytes = 4 * sum(w.numel() for w in gi.build_model(gi.RunConfig.from_mapping(base)).parameters())
    assert bytes_of() == int(n_bytes * (2 * 3 + 2.5))
    assert bytes_of(optimizer={"name": "sgd"}) == int(n_bytes * 4.5)
    assert bytes_of(optimizer={"name": "sgd", "momentum": 0.9}) == int(n_bytes * 6.5)
    assert bytes_of(regularizer={"grokfast": "ma", "grokfast_window": 10}) == int(n_bytes * (2 * 13 + 2.5))
    assert bytes_of(train={"dtype": "float64"}) == 2 * bytes_of()


def test_an_estimate_grows_with_whatever_it_is_made_of():
    def total(n=1, **changes):
        return training_estimate(small_config(**changes), n).total

    assert total(model={"d_mlp": 64}) > total()
    assert total(train={"batch_size": 4}) < total()
    assert total(3) > 2 * total()
    assert analysis_estimate(small_config(), 3).total > 3 * analysis_estimate(small_config()).total
    assert analysis_estimate(small_config(), whole=False).total < analysis_estimate(small_config()).total


@pytest.mark.parametrize("spare", [-1, 0])
def test_the_headroom_is_exact(spare):
    estimate = Estimate("training", {"a": 600, "b": 400}, {"a": "--x", "b": "--y"})
    if spare < 0:
        with pytest.raises(gi.GrokinterpError, match=r"training would need about 0\.0 GB .*for a \(.*lower --x"):
            check(estimate, 1000 + HEADROOM + spare)
    else:
        check(estimate, 1000 + HEADROOM + spare)


@pytest.fixture
def little(monkeypatch):
    """A machine with 10 MB beyond the headroom."""
    monkeypatch.setattr(device, "available_bytes", lambda: HEADROOM + 10 * 2**20)


def test_training_that_does_not_fit_is_refused_with_the_numbers_and_writes_nothing(little, tmp_path, capsys):
    assert run_command(["train", "quick", "--out", str(tmp_path / "run")]) == 2
    sentence = capsys.readouterr().err
    assert "training would need about 0.1 GB of memory, most of it for an evaluation" in sentence
    assert "but 0.3 GB are available; lower --model.d-mlp or --model.d-model" in sentence
    assert not (tmp_path / "run").exists()
    gi.train(small_config(train={"steps": 2}), tmp_path / "small", show_progress=False)


def test_replicas_that_do_not_fit_together_are_refused_and_write_nothing(little, tmp_path):
    config = small_config(train={"steps": 2})
    gi.train_replicas([config], [tmp_path / "one"], show_progress=False)
    configs = gi.replica_configs(config, 600)
    with pytest.raises(gi.GrokinterpError, match=r"training 600 replicas at once would need about .*lower --replicas"):
        gi.train_replicas(configs, [tmp_path / c.name for c in configs], show_progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_an_analysis_takes_as_many_checkpoints_at_a_time_as_fit(tmp_path, monkeypatch):
    run = gi.train(small_config(train={"steps": 20}), tmp_path / "run", show_progress=False)
    one, two = (analysis_estimate(run.config, n, whole=False).total for n in (1, 2))
    monkeypatch.setattr(device, "available_bytes", lambda: HEADROOM + (one + two) // 2)
    only = ["accuracy_loss"]
    with pytest.raises(gi.GrokinterpError, match=r"an analysis would need about .*lower --jobs"):
        gi.analyze(run, only, jobs=2, show_progress=False)
    assert gi.analyze(run, only, show_progress=False).computed["accuracy_loss"] == len(run.steps)
    monkeypatch.setattr(device, "available_bytes", lambda: HEADROOM + one - 1)
    with pytest.raises(gi.GrokinterpError, match=r"an analysis would need about"):
        gi.analyze(run, only, show_progress=False)


# What the machine has ----------------------------------------------------------------------------


def system(folder, **files):
    """A root folder with files of /proc and /sys; names with _ for /."""
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


MEMINFO = "MemTotal:       2000000 kB\nMemAvailable:   1000000 kB\n"


def test_what_the_kernel_calls_available_counts(tmp_path):
    assert available_bytes(system(tmp_path, proc__meminfo=MEMINFO)) == 1_000_000 * 1024


def test_the_limit_of_a_control_group_counts_and_that_of_the_group_above(tmp_path):
    root = system(tmp_path, proc__meminfo=MEMINFO, proc__self__cgroup="0::/a/b\n")
    for group, limit, used in (("", "max", 0), ("a/", "500000000", 200_000_000), ("a/b/", "max", 100)):
        folder = root / "sys/fs/cgroup" / group
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text(f"{used}\n")
    assert available_bytes(root) == 300_000_000
    (root / "sys/fs/cgroup/a/memory.stat").write_text("anon 5\ninactive_file 50000000\n")
    assert available_bytes(root) == 350_000_000


def test_version_1_of_control_groups_counts_too_and_its_largest_number_is_no_limit(tmp_path):
    root = system(tmp_path, proc__meminfo=MEMINFO, proc__self__cgroup="5:cpu:/x\n4:memory:/a\n")
    folder = root / "sys/fs/cgroup/memory/a"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text("700000000")
    (folder / "memory.usage_in_bytes").write_text("600000000")
    (folder.parent / "memory.limit_in_bytes").write_text("9223372036854771712")
    (folder.parent / "memory.usage_in_bytes").write_text("600000000")
    assert available_bytes(root) == 100_000_000
    (folder / "memory.usage_in_bytes").write_text("800000000")
    assert available_bytes(root) == 0


def test_a_limit_on_the_address_space_counts(tmp_path, monkeypatch):
    root = system(tmp_path, proc__meminfo=MEMINFO, proc__self__status="Name:\tx\nVmSize:\t  1000 kB\n")
    monkeypatch.setattr(memory.resource, "getrlimit", lambda _: (3_000_000, -1))
    assert available_bytes(root) == 3_000_000 - 1_024_000


@pytest.mark.parametrize("content", ["", "MemAvailable:\n", "MemAvailable: many kB\n", "\xff"])
def test_where_the_system_does_not_say_it_is_all_the_memory_there_is(content, tmp_path):
    root = system(tmp_path, proc__meminfo=content, proc__self__cgroup="nonsense\n0::/\n::\n")
    assert available_bytes(root) == memory.os.sysconf("SC_PHYS_PAGES") * memory.os.sysconf("SC_PAGE_SIZE")


def test_a_run_that_ends_within_its_warm_up_is_trained_and_remarked_on(tmp_path, capsys):
    gi.train(small_config(train={"steps": 5}), tmp_path / "short")
    assert "the 5 steps end within the warm-up of 10" in capsys.readouterr().err
    gi.train(small_config(train={"steps": 10}), tmp_path / "long")
    assert "warm-up" not in capsys.readouterr().err
