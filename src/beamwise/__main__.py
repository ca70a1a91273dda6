"""The command `beamwise`; `python -m beamwise` is for launchers of several processes."""

import sys

INTERRUPTED = 130


def main() -> int:
    """Run the command line of the process; returns the exit status.

    Imports take seconds, so an interruption during them is answered as one that comes later is.
    """
    try:
        from beamwise.cli.app import main as run
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return INTERRUPTED
    return run()


if __name__ == "__main__":
    sys.exit(main())
