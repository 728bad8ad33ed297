"""Where the orders are, and how the detector answers to flat light."""
