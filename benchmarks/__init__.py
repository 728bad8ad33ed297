"""Accuracy and speed of the package on full-size nights: `python -m benchmarks`."""
