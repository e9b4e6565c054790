"""Measures of the networks during training, and detectors of failures in them."""
