"""Checks of an installation: versions, devices, folders, servers, a short training."""
