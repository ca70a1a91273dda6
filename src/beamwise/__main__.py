"""`python -m beamwise`, which launchers of several processes need."""

import sys

from beamwise.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
