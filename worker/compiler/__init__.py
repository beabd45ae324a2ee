"""Compiles a checkpoint to an ONNX graph, without PyTorch: a body, and heads over it.

    input_ids (rows, tokens) int32, right-padded ─┐          ┌─ pooling ─ ... ─► dense
    lengths   (rows,)        int32 ───────────────┼─ body ───┼─ linear ─ norm ─► multivector
    type_ids  (rows, tokens) int32, for pairs ────┘          └─ ...

A body is a function that adds a family's encoder to a graph, in the family's own file; the
heads are those that `worker.checkpoint.heads` finds in the checkpoint, and are the same for every
family. `compile` puts them together; in which form says `graph_form`.
Models of texts and images are duals: two towers, two graphs, one cache entry.
"""
