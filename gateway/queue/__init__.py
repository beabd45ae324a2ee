"""The way of a request through the work queue and back.

    Work ─► Dispatcher ─ Waits: would it be in time? ─► Publisher ─► JetStream ─► worker
                 │                                        └ too large: LargeRequests      │
                 └── Pending ◄─ Gathering ◄─ Reassembly of pieces ◄─ replies: one of ours? ┘

`dispatch` and `work` are what the verbs use; the rest is theirs.
"""
