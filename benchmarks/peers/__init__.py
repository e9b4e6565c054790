"""Contestants of `step_throughput.py`, each a process that runs training steps."""
