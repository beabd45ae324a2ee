"""Files that processes share: their digests, their locks, and writes that are whole or nothing."""
