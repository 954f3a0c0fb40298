"""Run the share of the slow tests that today's number picks: `python tests/slow_slice.py 17`."""

import subprocess
import sys

SLICES = 5


def main(day: int) -> int:
    command = [sys.executable, "-m", "pytest", "-q", "-m", "slow"]
    listed = subprocess.run([*command, "--collect-only"], capture_output=True, text=True, check=False).stdout
    tests = sorted(line for line in listed.splitlines() if "::" in line)
    mine = tests[day % SLICES :: SLICES]
    print(f"slice {day % SLICES} of {SLICES}: {len(mine)} of {len(tests)} slow tests")
    return subprocess.run([*command, *mine], check=False).returncode if mine else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
