"""The nouns: frozen, self-checking values without input or output."""
