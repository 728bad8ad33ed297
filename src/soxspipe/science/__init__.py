"""Pure numerics. The rooms do not know each other; nothing here opens a file."""
