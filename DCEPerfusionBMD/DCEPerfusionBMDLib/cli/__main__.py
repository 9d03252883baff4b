"""`python -m DCEPerfusionBMDLib.cli`."""

import sys

from . import main

sys.exit(main())
