"""Exports a run: programs, weights and a model card for other programs and people."""
