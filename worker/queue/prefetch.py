"""How much work a worker takes in advance: a pure function.

Work in hand is bounded by time: what one worker holds, another cannot take.
"""

# Enough to fill the next batches well, little enough to spread over workers.
PREFETCH_S = 0.25
MAX_MESSAGES = 64
# Messages of tenants that ask for little, taken beside any surplus of others.
BESIDE_SURPLUS = 4


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


def messages_wanted_beside(
    surplus_messages: int, messages: int, tokens_per_second: float, tokens: int, per_message: float
) -> int:
    """As `messages_wanted`, for work that does not wait until a surplus has been computed.

    Args:
        surplus_messages: of the surplus that are in hand.
        messages: others in hand.
        tokens_per_second: as above.
        tokens: what is here already and not computed, of both.
        per_message: size of messages lately.
    """
    wanted = messages_wanted(tokens_per_second, tokens, per_message)
    return max(wanted, BESIDE_SURPLUS - messages) if surplus_messages else wanted


def yielding_messages_wanted(
    tokens_per_second: float, waiting_tokens: int, at_hand: int, tokens_per_message: float
) -> int:
    """How many messages of work that gives way to other work: what that leaves room for.

    One is always at hand, so that it goes on beside other work without end.

    Args:
        tokens_per_second: speed of the engine, over all its streams.
        waiting_tokens: what is here already and not computed, of any class.
        at_hand: how much of it, in whatever unit, gives way.
        tokens_per_message: size of messages lately.
    """
    wanted = messages_wanted(tokens_per_second, waiting_tokens, tokens_per_message)
    return wanted or int(at_hand == 0)
