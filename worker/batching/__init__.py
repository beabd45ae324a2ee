"""From inputs that wait one by one to runs of an engine."""
