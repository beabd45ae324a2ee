"""From what a model says of tokens, spans and pairs to entities and classes."""
