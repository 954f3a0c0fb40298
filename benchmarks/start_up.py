"""How long until something happens: --help, the demo from end to end."""

import tempfile

from benchmarks.children import run
from benchmarks.clock import spread, write

HELPS, DEMOS = 9, 3


def main() -> None:
    """Whole processes."""
    cli = ("-m", "grokinterp")
    seconds = {"grokinterp --help": [run(*cli, "--help").seconds for _ in range(HELPS + 1)][1:], "grokinterp demo": []}
    for _ in range(DEMOS):
        with tempfile.TemporaryDirectory() as folder:
            seconds["grokinterp demo"].append(run(*cli, "demo", "--out", f"{folder}/demo").seconds)
    targets = {"grokinterp --help": 0.4, "grokinterp demo": 60}
    figures = {
        name: {"target": targets[name], "better": "less", "unit": "s", **spread(values)}
        for name, values in seconds.items()
    }
    write("start_up", seconds, figures)


if __name__ == "__main__":
    main()
