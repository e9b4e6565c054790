"""Contestants of `step_throughput.py`: each a process that makes training steps."""
