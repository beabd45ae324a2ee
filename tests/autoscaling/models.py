"""Models that scale apart: one tiny checkpoint under several names."""

from pathlib import Path

import yaml

from tests import hub_server

GOLDEN = Path(__file__).parents[1] / "golden" / "bert_cls"
# By bundle.
MODEL, LONE, LEFT, RIGHT = "golden/any", "golden/lone", "golden/left", "golden/right"
COLD = "golden/cold"
_BUNDLES = {MODEL: "default", LONE: "lone", LEFT: "left", RIGHT: "right", COLD: "default"}


def definitions(directory: Path) -> Path:
    """Models of one checkpoint, one of them to be fetched."""
    directory.mkdir()
    for name, bundle in _BUNDLES.items():
        fetched = {"hugging_face": {"repo": hub_server.REPO, "revision": hub_server.COMMIT}}
        model = {
            "model_id": name,
            "sources": [fetched if name == COLD else {"directory": str(GOLDEN)}],
            "inputs": ["text"],
            "tasks": {"encode": {"dense": {"dims": 32}}},
            "bundles": [bundle],
        }
        (directory / f"{name.partition('/')[2]}.yaml").write_text(yaml.safe_dump(model))
    return directory
