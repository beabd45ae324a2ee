"""The verbs that have an engine."""

from collections.abc import Sequence

from gateway.verbs import encode, extract, score
from gateway.verbs.verb import Verb

VERBS: Sequence[Verb] = (encode, score, extract)
