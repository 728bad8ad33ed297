"""soxspipe: from raw SOXS and X-Shooter frames to spectra."""

__version__ = "0.1.0"
