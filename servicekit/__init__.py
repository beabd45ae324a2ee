"""What every service process needs, and nothing that only one of them does."""
