"""Interleaved timings, and the file they go to."""

import gc
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

OUT = Path("artifacts/benchmarks")

Contenders = Mapping[str, Callable[[], object]]


def interleaved(contenders: Contenders, *, rounds: int, calls: int = 1, warm_up: int = 1) -> dict[str, list[float]]:
    """Seconds a call of each contender, in turn, round after round.

    Args:
        contenders: What is timed, by name.
        rounds: How often each has its turn.
        calls: Calls a turn, timed together: with several, each contender finds its own data in the caches, as in a
            loop of its own.
        warm_up: Turns that are not counted.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(warm_up + rounds):
        for name, contender in contenders.items():
            gc.collect()
            start = time.perf_counter()
            for _ in range(calls):
                contender()
            if turn >= warm_up:
                seconds[name].append((time.perf_counter() - start) / calls)
    return seconds


def spread(values: list[float]) -> dict[str, float]:
    """Median, quartiles and number of values."""
    if len(values) < 2:
        return {"median": values[0], "q25": values[0], "q75": values[0], "n": 1}
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": middle, "q25": low, "q75": high, "n": len(values)}


def ratio(above: list[float], below: list[float]) -> dict[str, float]:
    """Spread of the ratios, turn by turn, of two contenders of one call of `interleaved`."""
    return spread([a / b for a, b in zip(above, below, strict=True)])


def write(name: str, seconds: Mapping[str, list[float]], figures: Mapping[str, Any], **about: Any) -> dict[str, Any]:
    """Write artifacts/benchmarks/<name>.json: where, what took how long, and the figures that are judged."""
    record = {
        "benchmark": name,
        "command": f"python -m benchmarks {name}",
        "where": machine(),
        **about,
        "seconds": {what: spread(values) for what, values in seconds.items()},
        "figures": dict(figures),
    }
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n")
    return record


def machine() -> dict[str, Any]:
    """Processor, cores, versions and threads."""
    import torch

    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
