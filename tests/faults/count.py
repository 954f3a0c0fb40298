"""How many faults are tried, and how many are survived: `python tests/faults/count.py [--slow]`.

Runs tests/faults and adds up what its tests report, kind by kind.
"""

import json
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path


def main(*, slow: bool) -> int:
    """Run the tests and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            str(Path(__file__).parent),
            f"--junitxml={report}",
            "-o",
            "junit_family=xunit1",
        ]
        status = subprocess.run([*command, *(["-m", "slow or not slow"] if slow else [])], check=False).returncode
        tried, survived = Counter(), Counter()
        for found in ET.parse(report).getroot().iter("property"):
            if found.get("name") == "faults":
                for kind, (n, well) in json.loads(found.get("value", "{}")).items():
                    tried[kind] += n
                    survived[kind] += well
    for kind in sorted(tried):
        print(f"{kind:60} tried {tried[kind]:4}  survived {survived[kind]:4}")
    print(f"{'altogether':60} tried {tried.total():4}  survived {survived.total():4}")
    return status


if __name__ == "__main__":
    sys.exit(main(slow="--slow" in sys.argv[1:]))
