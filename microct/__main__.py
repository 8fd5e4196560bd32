"""``python -m microct`` is the command ``microct``."""

import sys

from microct.cli import main

sys.exit(main())
