"""Calls of Cohere's and Hugging Face's clients, run by the Python of .venv/clients.

`hosted.py ADDRESS MODEL` writes a JSON object of results by name.
"""

import json
import sys

import cohere
from huggingface_hub import InferenceClient

QUERY = "Where did the cat sit?"
DOCUMENTS = ["Interest rates rose again.", "The cat sat on the mat."]


def cohere_calls(address, model):
    first, second = (
        kind(api_key="none", base_url=f"http://{address}")
        for kind in (cohere.Client, cohere.ClientV2)
    )
    asked = {"model": model, "query": QUERY, "top_n": 1}
    yield "rerank 1", first.rerank(**asked, documents=DOCUMENTS, return_documents=True).dict()
    yield "rerank 2", second.rerank(**asked, documents=DOCUMENTS, max_tokens_per_doc=4096).dict()
    try:
        second.rerank(**asked | {"model": "none"}, documents=DOCUMENTS)
    except cohere.NotFoundError as error:
        yield "no model", error.body


def hugging_face_calls(address):
    def client(path):
        return InferenceClient(model=f"http://{address}{path}", token="none")

    vectors = client("/embed").feature_extraction(DOCUMENTS, truncate=True, normalize=True)
    yield "vectors", vectors.tolist()
    cosines = client("/similarity").sentence_similarity(QUERY, DOCUMENTS)
    yield "cosines", cosines


def main():
    address, model = sys.argv[1:]
    results = dict(cohere_calls(address, model)) | dict(hugging_face_calls(address))
    json.dump(results, sys.stdout, default=str)


main()
