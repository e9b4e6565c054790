"""Samples, previews and finished runs."""
