"""Which models this worker has, and how they come and go."""
