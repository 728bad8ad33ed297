"""Memory and order of a reduction."""
