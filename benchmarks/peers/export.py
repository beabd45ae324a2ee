"""Exports a checkpoint to `onnx/model.onnx`, as repositories on the hub have it.

python export.py MODEL      with the Python of an environment that has transformers and onnxscript
"""

import sys
from pathlib import Path

import torch
from transformers import AutoModel, AutoTokenizer


def main() -> None:
    directory = Path(sys.argv[1])
    model = AutoModel.from_pretrained(directory, attn_implementation="eager").eval()
    tokenizer = AutoTokenizer.from_pretrained(directory)
    sample = tokenizer(["a text", "and a longer one"], padding=True, return_tensors="pt")
    names = ["input_ids", "attention_mask", "token_type_ids"]
    path = directory / "onnx" / "model.onnx"
    path.parent.mkdir(exist_ok=True)
    torch.onnx.export(
        model,
        tuple(sample[name] for name in names),
        str(path),
        input_names=names,
        output_names=["last_hidden_state"],
        dynamic_axes={name: {0: "rows", 1: "tokens"} for name in names},
        dynamo=False,
        opset_version=17,
    )


if __name__ == "__main__":
    main()
