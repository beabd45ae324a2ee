"""Relevance from 0 to 1, which these APIs promise, from what models give."""

import math

from sie.inference.v1.result_pb2 import ScoreKind


def relevance(score: float, kind: ScoreKind) -> float:
    """A score on the scale of these APIs; MaxSim has no bounds and stays as it is."""
    match kind:
        case ScoreKind.SCORE_KIND_LOGIT:
            # Beyond this a float32 is 0 or 1.
            return 1 / (1 + math.exp(-max(-80.0, min(80.0, score))))
        case ScoreKind.SCORE_KIND_COSINE:
            return (1 + score) / 2
        case _:
            return score
