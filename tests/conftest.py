"""What all tests need: no display, and no look at the user's own configuration."""

import os

os.environ["MPLBACKEND"] = "Agg"
