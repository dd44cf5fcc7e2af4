"""``python -m wampy``: the command line."""

import sys

from wampy.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
