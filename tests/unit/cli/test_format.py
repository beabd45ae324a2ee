import pytest

from cli import format as fmt
from sie.errors.v1 import error_pb2
from sie.inference.v1 import inference_service_pb2 as inference
from sie.inference.v1 import model_service_pb2 as models
from sie.inference.v1 import result_pb2, tensor_pb2


def dense(*values: float, tokens: int = 4, truncated: bool = False) -> result_pb2.EncodeResult:
    vector = tensor_pb2.DenseVector(dims=len(values), dtype=1, values=values)
    return result_pb2.EncodeResult(dense=vector, input_tokens=tokens, truncated=truncated)


@pytest.mark.parametrize(
    ("values", "shown"),
    [([], "[]"), ([0.5], "[0.5000]"), ([1.0] * 6, "[1.0000, 1.0000, 1.0000, 1.0000, 1.0000, ...]")],
)
def test_only_the_first_components_are_shown(values: list[float], shown: str) -> None:
    assert fmt.numbers(values) == shown


def test_a_long_text_is_cut_and_kept_on_one_line() -> None:
    assert fmt.shorten("a\n b", 10) == "a b"
    assert fmt.shorten("x" * 20, 10) == "x" * 7 + "..."


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [([1, 0], [2, 0], 1.0), ([1, 0], [0, 1], 0.0), ([1, 1], [-1, -1], -1.0), ([0, 0], [1, 0], 0)],
)
def test_cosine(left: list[float], right: list[float], expected: float) -> None:
    assert fmt.cosine(left, right) == pytest.approx(expected)


def test_one_text_is_shown_with_dims_tokens_and_truncation() -> None:
    lines = fmt.encoded(["a long book"], [dense(0.1, 0.2, tokens=256, truncated=True)])
    assert lines == [
        '"a long book"',
        "  dense        2 dims  [0.1000, 0.2000]  (256 tokens, truncated)",
    ]


def test_several_texts_are_compared() -> None:
    lines = fmt.encoded(["cat", "dog"], [dense(1, 0), dense(0, 1)])
    assert lines[-3:] == [
        "         1      2",
        "  1 cat  1.000  0.000",
        "  2 dog  0.000  1.000",
    ]


def test_a_failed_text_says_why_and_is_not_compared() -> None:
    failed = result_pb2.EncodeResult(error=error_pb2.Error(message="items[1]: too long"))
    lines = fmt.encoded(["a", "b"], [dense(1, 0), failed])
    assert "  failed: items[1]: too long" in lines
    assert "cosine similarity" not in lines


def test_sparse_and_multivector_are_summarised() -> None:
    sparse = tensor_pb2.SparseVector(dims=30522, indices=[7, 9], values=[0.25, 2.0])
    multi = tensor_pb2.MultiVector(num_tokens=2, token_dims=2, values=[1, 2, 3, 4])
    lines = fmt.encoded(["a"], [result_pb2.EncodeResult(sparse=sparse, multivector=multi)])
    assert "2 of 30522 weights  {9: 2.000, 7: 0.250}" in lines[1]
    assert "2 x 2  [1.0000, 2.0000, 3.0000, 4.0000]" in lines[2]


def test_models_are_a_table() -> None:
    model = models.ModelInfo(
        name="org/model",
        outputs=[tensor_pb2.OUTPUT_TYPE_DENSE],
        dims={"dense": 384},
        max_sequence_length=256,
        state=models.MODEL_STATE_LOADED,
        workers=["worker-1"],
        tasks=[models.TASK_ENCODE, models.TASK_SCORE],
    )
    header, row = fmt.model_table([model])
    assert header.split() == ["MODEL", "TASKS", "OUTPUTS", "TOKENS", "STATE", "WORKERS"]
    assert row.split("  ")[1] == "encode, score"
    assert row.split()[3:] == ["dense", "384", "256", "loaded", "worker-1"]
    assert fmt.model_table([]) == ["no models are registered"]


def test_a_ranking_is_a_table_with_failures_last() -> None:
    scores = [
        result_pb2.ScoreEntry(index=1, score=0.75, input_tokens=5, truncated=True),
        result_pb2.ScoreEntry(index=0, rank=1, error={"message": "no image"}),
    ]
    response = inference.ScoreResponse(scores=scores, kind=result_pb2.SCORE_KIND_PROBABILITY)
    header, first, last = fmt.ranking(["a", "b"], response)
    assert header.split() == ["RANK", "PROBABILITY", "TOKENS", "DOCUMENT"]
    assert first.split() == ["1", "0.7500", "5,", "truncated", "b"]
    assert last.split() == ["-", "failed", "-", "a:", "no", "image"]


def test_json_speaks_the_words_of_the_http_face() -> None:
    response = inference.EncodeResponse(model="MODEL_STATE_", items=[dense(0.5, 0.25)])
    vector = fmt.as_json(response)["items"][0]["dense"]
    assert vector == {"dims": 2, "dtype": "float32", "values": [0.5, 0.25]}
