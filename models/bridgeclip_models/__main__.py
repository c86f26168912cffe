"""Runs the command line: `python -m bridgeclip_models` does the same as `bridgeclip-models`."""

import sys

from .cli import main

sys.exit(main())
