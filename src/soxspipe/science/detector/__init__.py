"""Detector signature: electrons, bias, dark, stacking, defects."""
