"""`python -m soxspipe` is the command `soxspipe`."""

import sys

from soxspipe.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
