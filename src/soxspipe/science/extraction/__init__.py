"""Objects on the slit: finding, tracing, extracting, merging orders."""
