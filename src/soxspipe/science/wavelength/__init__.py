"""Arc lines, dispersion solution, pixel map."""
