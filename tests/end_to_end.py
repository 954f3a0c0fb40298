"""Check what `train ci`, `analyze` and `figures` left: files exist, numbers are finite and in range.

`python tests/end_to_end.py RUN`, called by .ci/run.
"""

import json
import math
import sys
from pathlib import Path

import pyarrow.parquet as pq

from grokinterp.measures.registry import builtin_measures

SKIPPED = {"coset_purity"}
"""A group of prime order has no subgroups."""

EMPTY = {"group_representations.cosets", "numerics.slingshots"}
"""Tables that may have no rows: of cosets for the same reason, of spikes in a smooth run."""


def main(run: Path) -> None:
    steps = json.loads((run / "config.json").read_text())["train"]["steps"]
    assert (run / "ckpts" / f"step_{steps:08d}.safetensors").exists()
    for line in (run / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        assert all(math.isfinite(value) for value in row.values()), row
        assert 0 <= row["test_accuracy"] <= 1, row
    n_cells = 0
    for name, measure in builtin_measures().items():
        if measure.on_request:
            assert not (run / "measures" / f"{name}.json").exists(), f"{name} was computed unasked"
            continue
        info = json.loads((run / "measures" / f"{name}.json").read_text())
        assert bool(info["skipped"]) == (name in SKIPPED), f"{name}: {info['skipped']}"
        if name in SKIPPED:
            continue
        for form in ("png", "pdf", "svg"):
            assert (run / "figures" / f"{name}.{form}").stat().st_size > 1000, f"figure {name}.{form}"
        for part, about in measure.parts.items():
            path = run / "measures" / (f"{name}.{part}.parquet" if part else f"{name}.parquet")
            rows = pq.read_table(path).to_pylist()
            assert rows or path.stem in EMPTY, f"{path.name} is empty"
            for row in rows:
                for column, cell in row.items():
                    assert about.all_columns[column].problem(cell) is None, f"{path.name}: {column} = {cell}"
                    n_cells += 1
    phases = json.loads((run / "phases.json").read_text())
    assert phases["memorization_step"] < phases["generalization_step"], phases
    print(f"end to end: {n_cells} table cells finite and in range, figures there, the run grokked")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
