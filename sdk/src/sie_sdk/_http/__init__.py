"""HTTP with MessagePack."""
