"""What a checkpoint directory holds, read and checked."""
