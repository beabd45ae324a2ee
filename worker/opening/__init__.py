"""From a checkpoint to the engine that runs it."""
