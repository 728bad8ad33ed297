"""Judge and draw finished results."""
