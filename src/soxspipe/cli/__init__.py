"""Command line: parse, call one function, report, exit status."""
