"""A model while it is served."""
