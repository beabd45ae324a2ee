"""The open inference protocol (version 2), over gRPC and over REST.

    gRPC ───────────────┬─► Api.call ─► OpenInferenceService ─► InferenceService
    REST ─► RestFace ───┘               tensors to and from     encode, score, extract
            JSON, binary                requests of the verbs

An input or output is a named tensor; which there are is said by the verbs in `gateway.oip.verbs`.
"""
