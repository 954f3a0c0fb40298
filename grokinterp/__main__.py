"""`grokinterp` and `python -m grokinterp`: the command line, which heeds signals before it is loaded."""

from grokinterp.interrupts import heed_signals


def main() -> None:
    """Run the command line."""
    heed_signals()
    from grokinterp.cli import main as run_command_line

    run_command_line()


if __name__ == "__main__":
    main()
