"""Make the modules of the soak importable as it has them itself when it runs: ``soak.accounts``."""

import sys
from pathlib import Path

# Last, so that nothing else is found here that has the same name.
sys.path.append(str(Path(__file__).resolve().parents[1]))
