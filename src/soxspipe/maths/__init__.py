"""Arrays only; nothing astronomical."""
