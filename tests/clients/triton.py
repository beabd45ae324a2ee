"""Calls of tritonclient, run by the Python of .venv/clients: `triton.py grpc|http ADDRESS`.

Reads a JSON object of calls by name and writes one of results by name. Elements are base64.
"""

import base64
import importlib
import json
import sys

import numpy as np
from tritonclient.utils import InferenceServerException


def infer(module, client, call):
    inputs = []
    for name, elements in call["inputs"].items():
        values = np.array([base64.b64decode(each) for each in elements], dtype=object)
        values = values.reshape(call.get("shape", [-1]))
        tensor = module.InferInput(name, values.shape, "BYTES")
        tensor.set_data_from_numpy(values)
        inputs.append(tensor)
    outputs = [module.InferRequestedOutput(name) for name in call.get("outputs", [])]
    options = {"request_id": "request-7", **call.get("options", {})}
    result = client.infer(call["model"], inputs, outputs=outputs or None, **options)
    names = [output["name"] for output in response_of(result)["outputs"]]
    return {"id": response_of(result)["id"], "outputs": {n: shown(result, n) for n in names}}


def response_of(result):
    try:
        return result.get_response(as_json=True)
    except TypeError:
        return result.get_response()


def shown(result, name):
    values = result.as_numpy(name)
    if values.dtype == object:
        values = values.astype(str)
    return {"dtype": values.dtype.kind + str(values.dtype.itemsize), "values": values.tolist()}


def look(_, client, call):
    given = call.get("arguments", [])
    if call["look"].startswith("get_") and not is_http(client):
        return getattr(client, call["look"])(*given, as_json=True)
    return getattr(client, call["look"])(*given)


def is_http(client):
    return "http" in type(client).__module__


def answered(module, client, call):
    try:
        return {"result": (look if "look" in call else infer)(module, client, call)}
    except InferenceServerException as error:
        return {"error": error.message(), "status": error.status()}


def main():
    module = importlib.import_module(f"tritonclient.{sys.argv[1]}")
    client = module.InferenceServerClient(sys.argv[2])
    calls = json.load(sys.stdin)
    results = {name: answered(module, client, call) for name, call in calls.items()}
    json.dump(results, sys.stdout)


main()
