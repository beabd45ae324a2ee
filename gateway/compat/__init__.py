"""Other APIs' shapes, as services of their own: each turns its request into one of our verbs.

The transcoder gives them their HTTP routes and their place in the OpenAPI document, as it does
for every annotated rpc.
"""
