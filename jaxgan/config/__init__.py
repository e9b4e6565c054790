"""The flags of all programs, the presets, and their resolution to a `Config`."""
