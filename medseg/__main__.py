"""`python -m medseg`."""

import sys

from medseg.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
