"""What each verb takes and gives as tensors; the first that a model answers is its own."""

from collections.abc import Sequence

from gateway.oip.verbs import encode, extract, score
from gateway.oip.verbs.verb import TensorVerb

VERBS: Sequence[TensorVerb] = (encode, score, extract)
