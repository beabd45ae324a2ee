"""The embedding server of LitServe's documentation: batches of up to 32, filled for 10 ms.

python litserve_server.py MODEL PORT
"""

import sys
from typing import Any

import litserve
import torch
from sentence_transformers import SentenceTransformer

PROCESSES = 2


class Encoder(litserve.LitAPI):
    """Texts to vectors."""

    def setup(self, device: str) -> None:
        torch.set_num_threads(1)
        self.encoder = SentenceTransformer(sys.argv[1], device=device)

    def decode_request(self, request: dict[str, str]) -> str:
        return request["text"]

    def predict(self, texts: list[str]) -> Any:
        return self.encoder.encode(texts, batch_size=32, normalize_embeddings=True)

    def encode_response(self, output: Any) -> dict[str, list[float]]:
        return {"embedding": output.tolist()}


def main() -> None:
    server = litserve.LitServer(
        Encoder(max_batch_size=32, batch_timeout=0.01),
        accelerator="cpu",
        workers_per_device=PROCESSES,
    )
    server.run(
        host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", generate_client_file=False
    )


if __name__ == "__main__":
    main()
