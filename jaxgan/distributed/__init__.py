"""Several processes that train as one: how they meet, and end together.

Nothing here imports jax before the flags are read; what the processes decide together
is in `jaxgan.distributed.consensus`.
"""

from jaxgan.distributed.initialize import initialize as initialize
