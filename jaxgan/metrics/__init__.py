"""Metrics of sets of samples; each docstring has the protocol."""
