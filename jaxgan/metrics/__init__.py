"""Distances between sets of samples; each says its protocol."""
