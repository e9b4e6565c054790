"""Plans a run on a TPU slice by compiling it with the slice's compiler."""
