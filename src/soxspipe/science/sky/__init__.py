"""The light of the night sky."""
