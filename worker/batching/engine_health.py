"""Whether an engine still answers: pure, from the outcomes of its runs.

failed, failed, failed ─► canary, an input of our own ─► answered: the inputs were bad
└► failed: again, and then it is broken
"""

from __future__ import annotations

# So many runs in a row fail before it is asked whether inputs or engine are to blame.
_SUSPICIOUS_RUNS = 3
# What fails with inputs of our own so often in a row will fail with any.
_CANARIES = 3


class EngineHealth:
    """Outcomes of the latest runs of one model's engines.

    Attributes:
        broken: whether nothing can be computed any more; only a new process can help, since what
            a device has lost in an error it does not find again.

    """

    def __init__(self) -> None:
        self.broken = False
        self._failed_runs = 0
        self._failed_canaries = 0

    def succeeded(self) -> None:
        """Take note of a run that answered."""
        self._failed_runs = self._failed_canaries = 0

    def failed(self, *, canary: bool) -> bool:
        """Take note of a run that failed, of a canary alone or not; return whether to send one."""
        self._failed_runs += 1
        self._failed_canaries += canary
        self.broken = self._failed_canaries >= _CANARIES
        return not self.broken and (canary or self._failed_runs % _SUSPICIOUS_RUNS == 0)
