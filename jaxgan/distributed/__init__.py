"""Training in several processes, on one machine or on many.

Start with the context manager `initialize.initialize`. It connects the processes that
the flags, a scheduler or a TPU pod name, and starts `jax.distributed`. Within it,
`jax.devices()` lists the devices of all processes, and a process that fails ends all
others.

* `rendezvous` waits until all processes are connected, before jax starts.
* `watchdog` detects processes that fail, are killed or stop responding.
* `consensus` makes decisions that all processes share, such as when to stop.
* `preemption` polls for maintenance notices of Cloud TPU machines.
* `connections` exchanges JSON messages over TCP, for the first two.

Only `consensus` imports jax when it is imported, so that `--help` stays fast.
"""
