"""CLIP and SigLIP: both towers answer in one space."""

import json
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
from safetensors.numpy import load_file, save_file

from tests.unit.worker.graphs import GOLDEN, close, compiled, edit, reference, run
from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.config import CheckpointError
from worker.engine import TokenBatch
from worker.texts.tokenizer import Tokenizer

FAMILIES = ["clip", "siglip"]


def text_ids(name):
    texts = json.loads((GOLDEN / name / "inputs.json").read_bytes())["texts"]
    return [text.ids for text in Tokenizer.open(Checkpoint.open(GOLDEN / name)).encode(texts)]


def vision(directory, pixel_values):
    session = onnxruntime.InferenceSession(
        directory / "vision.onnx", providers=["CPUExecutionProvider"]
    )
    return session.run(["dense"], {"pixel_values": pixel_values})[0]


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("layout", [".", "v5_layout"])
def test_texts_and_images_agree(tmp_path, checkpoint_copy, name, layout):
    directory, expected = checkpoint_copy(name), reference(name)
    shutil.copytree(GOLDEN / name / layout, directory, dirs_exist_ok=True)
    engine = compiled(directory, tmp_path / "compiled")
    close(run(engine, text_ids(name), "dense"), expected["text_embeds"])
    images = vision(tmp_path / "compiled", expected["pixel_values"])
    close(images, expected["image_embeds"])
    close(vision(tmp_path / "compiled", expected["pixel_values"][2:3])[0], images[2])


@pytest.mark.parametrize("name", FAMILIES)
def test_texts_agree_one_by_one(tmp_path, name):
    engine = compiled(GOLDEN / name, tmp_path / "compiled")
    for ids, expected in zip(text_ids(name), reference(name)["text_embeds"], strict=True):
        close(run(engine, [ids], "dense")[0], expected)


@pytest.mark.parametrize("name", FAMILIES)
def test_both_graphs_are_valid_onnx(tmp_path, name):
    compiled(GOLDEN / name, tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {
        *("model.onnx", "model.weights", "vision.onnx", "vision.weights")
    }
    for file in ("model.onnx", "vision.onnx"):
        onnx.checker.check_model(tmp_path / file)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("filler", [0, 699])
def test_what_stands_in_the_padding_does_not_matter(tmp_path, name, filler):
    engine, ids = compiled(GOLDEN / name, tmp_path / "compiled"), text_ids(name)
    batch = TokenBatch.pack(ids)
    for row, length in zip(batch.input_ids, batch.lengths, strict=True):
        row[length:] = filler
    close(engine.run(batch)["dense"], reference(name)["text_embeds"])


def test_the_end_of_text_is_found_by_its_id_too(tmp_path, checkpoint_copy):
    directory = checkpoint_copy("clip")
    config = json.loads((directory / "config.json").read_bytes())
    edit(directory / "config.json", text_config=config["text_config"] | {"eos_token_id": 1073})
    engine = compiled(directory, tmp_path / "compiled")
    close(run(engine, text_ids("clip"), "dense"), reference("clip")["text_embeds"])


def test_a_sentence_transformers_directory_can_ask_for_unit_length(tmp_path, checkpoint_copy):
    directory = checkpoint_copy("clip")
    shutil.move(directory, tmp_path / "0_CLIPModel")
    directory.mkdir()
    shutil.move(tmp_path / "0_CLIPModel", directory)
    kinds = {"CLIPModel": "0_CLIPModel", "Normalize": "1_Normalize"}
    listed = [{"type": f"models.{kind}", "path": path} for kind, path in kinds.items()]
    (directory / "modules.json").write_text(json.dumps(listed))
    engine, expected = compiled(directory, tmp_path / "compiled"), reference("clip")
    close(run(engine, text_ids("clip"), "dense"), expected["text_embeds_normalized"], 1e-5)
    images = vision(tmp_path / "compiled", expected["pixel_values"])
    close(images, expected["image_embeds_normalized"], 1e-5)


def test_sizes_that_a_configuration_leaves_out_are_the_published_ones(tmp_path, checkpoint_copy):
    directory = checkpoint_copy("siglip")
    edit(directory / "config.json", text_config={"model_type": "siglip_text_model"})
    with pytest.raises(CheckpointError, match=r"has shape \(700, 32\), not \(32000, 768\)"):
        compiled(directory, tmp_path / "compiled")


def test_half_precision_is_read(tmp_path, checkpoint_copy):
    directory = checkpoint_copy("siglip")
    file = directory / "model.safetensors"
    save_file({name: t.astype(np.float16) for name, t in load_file(file).items()}, file)
    dense = run(compiled(directory, tmp_path / "compiled"), text_ids("siglip"), "dense")
    close(dense, reference("siglip")["text_embeds"], 2e-2)


@pytest.mark.parametrize(
    ("name", "section", "values", "problem"),
    [
        ("siglip", "vision_config", {"vision_use_head": False}, "vision_use_head false"),
        ("siglip", "text_config", {"max_position_embeddings": 16}, "32 positions|has shape"),
        ("clip", "vision_config", {"image_size": 64}, r"has shape \(17, 48\), not \(65, 48\)"),
        ("clip", "text_config", {"hidden_act": "mish"}, "hidden_act mish is not supported"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, checkpoint_copy, name, section, values, problem):
    directory = checkpoint_copy(name)
    config = json.loads((directory / "config.json").read_bytes())
    edit(directory / "config.json", **{section: config[section] | values})
    with pytest.raises(CheckpointError, match=problem):
        compiled(directory, tmp_path / "compiled")


def test_padding_needs_a_token(tmp_path, checkpoint_copy):
    directory = checkpoint_copy("siglip")
    edit(directory / "tokenizer_config.json", pad_token=None)
    with pytest.raises(CheckpointError, match="names a pad_token"):
        compiled(directory, tmp_path / "compiled")
