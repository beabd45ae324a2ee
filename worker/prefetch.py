"""How much work a worker takes in advance: a pure function.

Work in hand is bounded by time: what one worker holds, another cannot take.
"""

# Enough to fill the next batches well, little enough to spread over workers.
PREFETCH_S = 0.25
MAX_MESSAGES = 64


def messages_wanted(
    tokens_per_second: float, waiting_tokens: int, tokens_per_message: float
) -> int:
    """How many messages to ask for.

    Args:
        tokens_per_second: speed of the engine, over all its streams.
        waiting_tokens: what is here already and not computed.
        tokens_per_message: size of messages lately.
    """
    room = tokens_per_second * PREFETCH_S - waiting_tokens
    if room <= 0 and waiting_tokens > 0:
        return 0
    # A message may be larger than any room there will ever be.
    return max(1, min(MAX_MESSAGES, int(room / max(1.0, tokens_per_message))))


def bulk_messages_wanted(
    tokens_per_second: float,
    waiting_tokens: int,
    waiting_bulk_tokens: int,
    tokens_per_message: float,
) -> int:
    """How many messages of bulk work to ask for: what other work leaves room for.

    One is always at hand, so that bulk work goes on beside other work without end.

    Args:
        tokens_per_second: speed of the engine, over all its streams.
        waiting_tokens: what is here already and not computed, of any class.
        waiting_bulk_tokens: what of it is bulk work.
        tokens_per_message: size of messages lately.
    """
    wanted = messages_wanted(tokens_per_second, waiting_tokens, tokens_per_message)
    return wanted or int(waiting_bulk_tokens == 0)
