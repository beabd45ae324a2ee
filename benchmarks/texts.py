"""Texts for the benchmarks: seeded, so that every run and every path sees the same."""

import random

_WORDS = ["the", "of", "and", "to", "in", "is", "was", "for", "on", "that", "by", "with", "as", "at", "from", "his", "her", "it", "an", "were", "are", "which", "this", "also", "be", "had", "first", "one", "their", "its", "new", "after", "but", "who", "not", "they", "have", "time", "year", "years", "city", "state", "school", "world", "team", "university", "company", "government", "house", "river", "history", "system", "water", "music", "station", "family", "church", "road", "building", "station", "engine", "model", "vector", "search", "query", "language", "network", "memory", "science", "energy", "market", "island", "mountain", "station", "winter", "summer", "morning"]


def mixed(count: int, low: int = 1, high: int = 200, seed: int = 7) -> list[str]:
    """Texts of `low` to `high` words, lengths drawn evenly."""
    rng = random.Random(seed)  # noqa: S311 - a benchmark, not a secret
    return [" ".join(rng.choices(_WORDS, k=rng.randint(low, high))) for _ in range(count)]
