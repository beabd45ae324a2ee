"""The worker's end of the work queue."""
