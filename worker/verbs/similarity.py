"""How near a document's vectors are to a query's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def cosine(query: NDArray[np.float32], document: NDArray[np.float32]) -> float:
    """Return the cosine of two vectors (size,); 0 where either is 0."""
    lengths = float(np.linalg.norm(query)) * float(np.linalg.norm(document))
    return float(query @ document) / lengths if lengths > 0 else 0.0


def maxsim(query: NDArray[np.float32], document: NDArray[np.float32]) -> float:
    """Return the sum over the query's vectors of the largest product with one of the document's.

    Khattab and Zaharia, 2020. Both are (tokens, size).
    """
    return float((query @ document.T).max(axis=1).sum())
