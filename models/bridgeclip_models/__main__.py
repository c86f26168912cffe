"""`python -m bridgeclip_models` is the same as the command `bridgeclip-models`."""

import sys

from .cli import main

sys.exit(main())
