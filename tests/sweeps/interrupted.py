"""Runs a sweep on local processes, to be killed from outside; a script, no test: python interrupted.py RECIPE DIR."""

import signal
import sys
from pathlib import Path

from grokinterp.sweeps.executors import starter
from grokinterp.sweeps.recipe import read_recipe
from grokinterp.sweeps.sweep import sweep

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sweep(read_recipe(Path(sys.argv[1])), sys.argv[2], executor=starter("local", 2))
    except KeyboardInterrupt:
        sys.exit(130)
