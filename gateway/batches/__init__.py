"""Durable jobs of many requests, and the files that they read and write.

    tenant ── FileService, BatchService ──► records (a KV bucket), pieces (a store)
                                               ▲            ▲
    every gateway: Runner ── claims ── BatchJob ┴────────────┘
                                          └── each line ──► Api.call, in the bulk class

Every gateway can run every batch. A record says how far a batch is; each change of it is a
compare-and-set, so of two gateways that take themselves for a batch's runner one is refused,
and what the other has written beside the record is never part of a file.
"""
