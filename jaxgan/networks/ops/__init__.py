"""Pure functions that networks compute with, in the fastest form per platform."""
