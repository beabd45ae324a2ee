"""The servers that a user would write with FastAPI, each run by the Python of its own environment.

    python servers.py {onnxruntime-fastapi|sentence-transformers-fastapi} MODEL PORT

Two processes of one thread each, which on two cores is faster than one of two threads.
"""

# ruff: noqa: PLC0415 - each environment has the libraries of one peer

import os
import sys
from pathlib import Path
from typing import Any

PROCESSES = 2


def onnxruntime_app(model: Path) -> Any:
    """The exported graph behind FastAPI: a run for each request, mean pooling in numpy."""
    import numpy as np
    import onnxruntime as ort
    from fastapi import FastAPI
    from fastapi.responses import ORJSONResponse
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(model / "onnx" / "model.onnx"), options)
    names = {each.name for each in session.get_inputs()}
    app = FastAPI()

    # The usual signature of a handler that computes: FastAPI runs it in a thread.
    @app.post("/embed", response_class=ORJSONResponse)
    def embed(body: dict[str, str]) -> Any:
        encoded = tokenizer.encode(body["text"])
        feeds = {
            "input_ids": np.array([encoded.ids], dtype=np.int64),
            "attention_mask": np.array([encoded.attention_mask], dtype=np.int64),
            "token_type_ids": np.array([encoded.type_ids], dtype=np.int64),
        }
        (states,) = session.run(None, {name: feeds[name] for name in names})[:1]
        vector = states[0].mean(axis=0)
        return ORJSONResponse({"embedding": (vector / np.linalg.norm(vector)).tolist()})

    return app


def sentence_transformers_app(model: Path) -> Any:
    """The library behind FastAPI: a call for each request."""
    import torch
    from fastapi import FastAPI
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(1)
    encoder = SentenceTransformer(str(model), device="cpu")
    app = FastAPI()

    @app.post("/embed")
    def embed(body: dict[str, str]) -> Any:
        vector = encoder.encode(body["text"], normalize_embeddings=True)
        return {"embedding": vector.tolist()}

    return app


def serve_app(name: str, port: int) -> None:
    import uvicorn

    # Worker processes import the application by name.
    uvicorn.run(f"servers:{name}", factory=True, port=port, workers=PROCESSES, log_level="warning")


def onnxruntime_factory() -> Any:
    return onnxruntime_app(Path(os.environ["PEER_MODEL"]))


def sentence_transformers_factory() -> Any:
    return sentence_transformers_app(Path(os.environ["PEER_MODEL"]))


def main() -> None:
    name, model, port = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    os.environ["PEER_MODEL"] = str(model)
    factory = {
        "onnxruntime-fastapi": "onnxruntime_factory",
        "sentence-transformers-fastapi": "sentence_transformers_factory",
    }[name]
    serve_app(factory, port)


if __name__ == "__main__":
    main()
