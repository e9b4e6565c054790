"""Setup, batches, train state, checkpoints and memory checks of an experiment."""
