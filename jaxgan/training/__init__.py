"""The trainer: loop, hooks and shutdown."""
