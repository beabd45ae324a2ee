"""HTTP JSON from the same service definition, by the rules of google/api/http.proto.

    method, path ─ routes ─► Endpoint + path variables ┐
    query ───────────────────────── binding ───────────┼─► request message ─► Api.call
    body ── orjson ─────────────── json_in ────────────┘                          │
    JSON ◄─ orjson, numpy ──────── json_out ◄──────────────────── response bytes ─┘

Everything is compiled from descriptors when the process starts: a new annotated rpc has its
route, its strict reading, its rendering and its OpenAPI entry without a line here.
"""
