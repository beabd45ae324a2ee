"""The gateway: every API at the edge, the work queue behind it, and no state of its own.

http/, grpc_face ─► transcoder/, compat/, oip/ ─► api, auth/ ─► verbs/ ─► queue/ ─► workers
"""
