"""What a client does, without I/O."""
