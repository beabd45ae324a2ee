"""Holds a compiled checkpoint to the outputs of its original implementation.

    inputs.json       texts, pairs, queries and documents, texts and labels, or images
    reference.npz     input_ids and attention_mask, and an array for each output

Texts are tokenised anew, so that the tokenizer is held to the reference as well. What stands in
a row's padding is nobody's business and is not compared.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.batching.packing import pack_texts
from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.config import CheckpointError, Config
from worker.checkpoint.heads import DenseHead, MultivectorHead, Output
from worker.compiler.compile import compile_checkpoint
from worker.compiler.graph_form import TEXT_GRAPH, VISION_GRAPH, Precision
from worker.engine import Batch, ImageBatch, TokenBatch
from worker.engines.catalog import Candidate, EngineKind, candidates
from worker.engines.choose import lowest_cosine
from worker.extraction.gliner_prompt import GlinerTokenizer
from worker.texts.late_interaction import open_tokenizer
from worker.texts.tokenizer import TokenizedText

Arrays = Mapping[str, NDArray[Any]]

HIDDEN_STATES = "last_hidden_state"

_UNIT = 1e-5
_VALUES = 1e-4
_SPLADE = 2e-4
# Of engines that do not compute in float32 throughout.
_COSINES = {
    Precision.FLOAT32: 0.999,
    Precision.FLOAT16: 0.999,
    Precision.BFLOAT16: 0.999,
    Precision.INT8: 0.98,
}

# What the reference may call an output, the likeliest first.
_NAMES: dict[str, tuple[str, ...]] = {
    Output.DENSE: ("embeddings", "dense", "text_embeds"),
    Output.SPARSE: ("sparse",),
    Output.TOKEN_WEIGHTS: ("token_weights",),
    Output.MULTIVECTOR: ("colbert", "multivector"),
    Output.LOGITS: ("yes_no_logits", "logits"),
    Output.TOKEN_LOGITS: ("logits",),
    Output.SPAN_LOGITS: ("span_logits",),
    HIDDEN_STATES: (HIDDEN_STATES,),
}
_INPUTS = {
    *("input_ids", "attention_mask", "pixel_values", "words_mask", "num_words"),
    *(f"{kind}_{name}" for kind in ("query", "doc") for name in ("input_ids", "attention_mask")),
}
_PER_TOKEN = {
    *(Output.TOKEN_WEIGHTS, Output.MULTIVECTOR, Output.TOKEN_LOGITS, Output.SPAN_LOGITS),
    HIDDEN_STATES,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One output of one engine against one array of the reference.

    Attributes:
        engine: its name.
        output: of the engine; `input_ids` for the tokenizer.
        array: of the reference.
        difference: the largest, absolute.
        cosine: the lowest of all vectors.
        allowed: the largest difference within tolerance, or the lowest cosine of an engine
            that does not compute in float32.
        exact: which of the two counts.

    """

    engine: str
    output: str
    array: str
    difference: float
    cosine: float
    allowed: float
    exact: bool = True

    @property
    def agrees(self) -> bool:
        if self.exact:
            return self.difference <= self.allowed
        return self.cosine >= self.allowed


@dataclass(frozen=True, slots=True)
class Verification:
    """What was compared, and which arrays of the reference were not."""

    comparisons: tuple[Comparison, ...]
    not_compared: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether something was compared and all of it agrees."""
        return bool(self.comparisons) and all(each.agrees for each in self.comparisons)


@dataclass(frozen=True, slots=True)
class _Case:
    """A batch, and the array that each of its outputs must equal.

    Attributes:
        graph: the file of the graph that takes it.
        batch: what the engine computes.
        arrays: names in the reference by output.
        keep: (rows, tokens) bool, the tokens that count, or (rows, words, widths), the spans;
            None for outputs of whole rows.

    """

    graph: str
    batch: Batch
    arrays: Mapping[str, str]
    keep: NDArray[np.bool_] | None = None


def verify(
    directory: Path, reference: Path, kinds: Sequence[EngineKind], work: Path
) -> Verification:
    """Compile a checkpoint and run its `inputs.json` on every given engine.

    Args:
        directory: the checkpoint, with `inputs.json` in it.
        reference: the .npz file of what the original answered.
        kinds: the engines.
        work: an empty directory for the compiled graphs.

    Raises:
        CheckpointError: the checkpoint or its inputs are incomplete or not supported, or the
            reference is no .npz file, or is of another model.
        EngineError: an engine rejects the graph.

    """
    checkpoint = Checkpoint.open(directory)
    inputs = Config.read(directory / "inputs.json").values
    arrays = _reference(reference)
    cases, comparisons = _cases(checkpoint, inputs, arrays)
    for candidate in candidates(kinds):
        compiled = _compiled(checkpoint, candidate, work)
        comparisons += _run(checkpoint, candidate, compiled, cases, arrays)
    used = {each.array for each in comparisons}
    left = tuple(sorted(name for name in arrays if name not in used | _INPUTS))
    return Verification(tuple(comparisons), left)


def _reference(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path) as arrays:
            return dict(arrays)
    except (ValueError, TypeError, zipfile.BadZipFile, EOFError) as error:
        raise CheckpointError(path, f"is no .npz file of arrays: {error}") from error


def _compiled(checkpoint: Checkpoint, candidate: Candidate, work: Path) -> Path:
    directory = work / str(candidate.form)
    if not directory.exists():
        directory.mkdir()
        compile_checkpoint(checkpoint, directory, hidden_states=True, form=candidate.form)
    return directory


def _run(
    checkpoint: Checkpoint,
    candidate: Candidate,
    compiled: Path,
    cases: Sequence[_Case],
    arrays: Arrays,
) -> Iterator[Comparison]:
    for case in cases:
        engine = candidate.kind.open(compiled / case.graph, None, checkpoint.max_length)
        try:
            answers = engine.run(case.batch)
        finally:
            engine.close()
        for output, array in case.arrays.items():
            if array in arrays and (output in answers or output in checkpoint.outputs):
                theirs = _read(arrays, array)
                try:
                    ours, theirs = _aligned(output, answers[output], theirs, case)
                except (ValueError, IndexError):
                    problem = f"{array} of the reference has shape {theirs.shape}, the model's"
                    shape = answers[output].shape
                    raise CheckpointError(checkpoint.root, f"{problem} {shape}") from None
                yield _compare(checkpoint, candidate, output, array, ours, theirs)


def _read(arrays: Arrays, name: str) -> NDArray[Any]:
    """Return an array of the reference, with the answers' logits in our order, no before yes."""
    return arrays[name][:, ::-1] if name == "yes_no_logits" else arrays[name]


def _aligned(
    output: str, ours: NDArray[Any], theirs: NDArray[Any], case: _Case
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return what counts of both, (vectors, size)."""
    if output not in _PER_TOKEN or case.keep is None:
        return ours, theirs.reshape(ours.shape)
    # BGE-M3's reference has no vector of the first token.
    skipped = case.keep.shape[1] - theirs.shape[1] if output == Output.MULTIVECTOR else 0
    width = min(ours.shape[1], theirs.shape[1] + skipped, case.keep.shape[1])
    keep = case.keep[:, skipped:width]
    return ours[:, skipped:width][keep], theirs[:, : width - skipped][keep]


def _compare(
    checkpoint: Checkpoint,
    candidate: Candidate,
    output: str,
    array: str,
    ours: NDArray[Any],
    theirs: NDArray[Any],
) -> Comparison:
    # A difference of NaN is no difference within any tolerance.
    difference = float(np.abs(ours.astype(np.float64) - theirs).max(initial=0.0))
    exact = candidate.kind.exact
    tolerance = _tolerance(checkpoint, output) if exact else _COSINES[candidate.kind.precision]
    cosine = lowest_cosine({output: ours}, {output: theirs})
    return Comparison(str(candidate), output, array, difference, cosine, tolerance, exact)


def _tolerance(checkpoint: Checkpoint, output: str) -> float:
    if output == Output.SPARSE:
        return _SPLADE
    unit = output == Output.MULTIVECTOR or (output == Output.DENSE and _normalized(checkpoint))
    return _UNIT if unit else _VALUES


def _normalized(checkpoint: Checkpoint) -> bool:
    return any(isinstance(head, DenseHead) and head.normalize for head in checkpoint.heads)


def _cases(
    checkpoint: Checkpoint, inputs: Mapping[str, Any], arrays: Arrays
) -> tuple[list[_Case], list[Comparison]]:
    """Tokenise the inputs; return what is to run, and how the token ids compare."""
    tokenizer = open_tokenizer(checkpoint)
    if isinstance(tokenizer, GlinerTokenizer):
        return _span_cases(tokenizer, inputs, arrays)
    pairs = _pairs(checkpoint, inputs)
    kinds: list[tuple[str, Callable[[], list[TokenizedText]], dict[str, str]]] = [
        ("texts", lambda: tokenizer.encode(inputs["texts"]), _arrays(checkpoint, arrays)),
        ("pairs", lambda: tokenizer.encode_pairs(pairs), _arrays(checkpoint, arrays)),
        (
            "queries",
            lambda: tokenizer.encode(inputs["queries"], is_query=True),
            {Output.MULTIVECTOR: "query_vectors"},
        ),
        (
            "documents",
            lambda: tokenizer.encode(inputs["documents"]),
            {Output.MULTIVECTOR: "doc_vectors"},
        ),
    ]
    cases: list[_Case] = []
    comparisons: list[Comparison] = []
    for name, tokenized, outputs in kinds:
        if inputs.get(name):
            texts = tokenized()
            cases.append(_texts_case(checkpoint, texts, outputs))
            comparisons += _token_ids(name, texts, arrays)
    if "pixel_values" in arrays:
        cases.append(_images_case(checkpoint, arrays))
    return cases, comparisons


def _pairs(checkpoint: Checkpoint, inputs: Mapping[str, Any]) -> list[tuple[str, str]]:
    try:
        return [(query, document) for query, document in inputs.get("pairs", ())]
    except (TypeError, ValueError):
        path = checkpoint.root / "inputs.json"
        raise CheckpointError(path, "pairs is not a list of two texts each") from None


def _span_cases(
    tokenizer: GlinerTokenizer, inputs: Mapping[str, Any], arrays: Arrays
) -> tuple[list[_Case], list[Comparison]]:
    """Read texts that have words beside the labels, each as far as one input goes."""
    read = tokenizer.windows(inputs["texts"], inputs["labels"])
    first = [windows[0] for windows in read if windows]
    texts = [window.tokens for window in first]
    starts = np.arange(max(len(window.offsets) for window in first))[:, None]
    ends = starts + np.arange(arrays["span_logits"].shape[2])
    keep = np.stack([ends < len(window.offsets) for window in first])
    batch = pack_texts(texts)
    case = _Case(TEXT_GRAPH, batch, {Output.SPAN_LOGITS: "span_logits"}, keep)
    return [case], list(_token_ids("texts", texts, arrays))


def _arrays(checkpoint: Checkpoint, arrays: Arrays) -> dict[str, str]:
    """Return the reference's array for each output."""
    found = {
        output: name
        for output, names in _NAMES.items()
        if (name := next((each for each in names if each in arrays), ""))
    }
    if found.get(Output.DENSE) == "text_embeds" and _normalized(checkpoint):
        found[Output.DENSE] = "text_embeds_normalized"
    if Output.TOKEN_LOGITS in checkpoint.outputs:
        found.pop(Output.LOGITS, None)
    return found


def _texts_case(
    checkpoint: Checkpoint, texts: Sequence[TokenizedText], arrays: Mapping[str, str]
) -> _Case:
    types = None
    if checkpoint.reads_type_ids:
        types = [np.zeros_like(t.ids) if t.type_ids is None else t.type_ids for t in texts]
    batch = TokenBatch.pack(
        [text.ids for text in texts], attended=[text.attended for text in texts], type_ids=types
    )
    keep = np.zeros(batch.input_ids.shape, dtype=np.bool_)
    marked = any(isinstance(head, MultivectorHead) and head.marked for head in checkpoint.heads)
    for row, text in zip(keep, texts, strict=True):
        row[: len(text.ids)] = text.kept if marked and text.kept is not None else True
    return _Case(TEXT_GRAPH, batch, arrays, keep)


def _images_case(checkpoint: Checkpoint, arrays: Arrays) -> _Case:
    name = "image_embeds_normalized" if _normalized(checkpoint) else "image_embeds"
    pixels = np.ascontiguousarray(arrays["pixel_values"], dtype=np.float32)
    return _Case(VISION_GRAPH, ImageBatch(pixels), {Output.DENSE: name})


def _token_ids(kind: str, texts: Sequence[TokenizedText], arrays: Arrays) -> Iterator[Comparison]:
    """Compare token ids as far as the reference has them: equal or not at all."""
    prefix = {"queries": "query_", "documents": "doc_"}.get(kind, "")
    name = f"{prefix}input_ids"
    if name not in arrays:
        return
    wrong = 0.0
    for text, ids in zip(texts, arrays[name], strict=True):
        wrong = max(wrong, 0.0 if np.array_equal(text.ids, ids[: len(text.ids)]) else 1.0)
    yield Comparison("tokenizer", "input_ids", name, wrong, 1.0 - wrong, 0.0)
