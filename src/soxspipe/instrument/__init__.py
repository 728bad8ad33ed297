"""What the spectrograph is: declared facts, and the dictionary of its headers."""
