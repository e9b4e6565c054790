"""Estimates and measures the cost of a training step."""
