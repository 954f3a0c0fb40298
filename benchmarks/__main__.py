"""`python -m benchmarks [NAMES]`: run benchmarks one after another, each in a process of its own, and draw the plot."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.clock import OUT
from benchmarks.plot import draw

NAMES = (
    "training_step",
    "training_loop",
    "analysis",
    "many_checkpoints",
    "two_processes",
    "replicas",
    "start_up",
    "mainline",
    "speedrun",
)
SAY = Console(highlight=False, soft_wrap=True)


def main() -> None:
    """Run and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", default=list(NAMES), metavar="NAME", help=f"of {', '.join(NAMES)}")
    names = parser.parse_args().names
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]}; choose from {', '.join(NAMES)}")
    for name in names:
        SAY.print(f"[bold]{name}")
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
        report(OUT / f"{name}.json")
    draw(OUT)


def report(path: Path) -> None:
    """One line a figure."""
    for what, figure in json.loads(path.read_text())["figures"].items():
        aim = f", target {figure['target']:g}" if "target" in figure else ""
        SAY.print(f"  {what}: {figure['median']:.3g} ({figure['q25']:.3g} to {figure['q75']:.3g}){aim}")


if __name__ == "__main__":
    main()
