"""What a run would cost on a TPU slice, as that slice's compiler has it."""
