"""Writes what Google's resources take, by the bindings of its Terraform provider.

    pip download --no-deps cdktf-cdktf-provider-google==16.12.1     # bindings of version 6.50.0
    python scripts/terraform_schema.py WHEEL > tests/terraform/provider/schema.json

Only resources that terraform/ uses are written.
"""

import io
import json
import re
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_PACKAGE = "@cdktf/provider-google"
_ANYTHING = "cdktf.IResolvable"
# Of the bindings, or arguments that Terraform has for every resource.
_NOT_ARGUMENTS = {
    *("connection", "count", "depends_on", "for_each", "lifecycle", "provider", "provisioners"),
    *("id", "timeouts"),
}
# Blocks that the provider fills in, of which outputs read a part.
_FILLED_IN = {("google_container_cluster", "master_auth"): ("cluster_ca_certificate",)}

Types = dict[str, Any]


def _read(wheel: Path) -> Types:
    with zipfile.ZipFile(wheel) as files:
        (name,) = [each for each in files.namelist() if each.endswith(".jsii.tgz")]
        content = files.read(name)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        member = archive.extractfile("package/.jsii")
        assert member is not None
        types: Types = json.load(member)["types"]
    return types


def _argument(types: Types, declared: dict[str, Any]) -> dict[str, Any]:
    """An argument by its declared type: a structure is a block, once or as often as one likes."""
    if "union" in declared:
        declared = next(each for each in declared["union"]["types"] if each.get("fqn") != _ANYTHING)
    if "fqn" in declared:
        return {"block": _arguments(types, declared["fqn"]), "most": 1}
    if "collection" in declared:
        element = declared["collection"]["elementtype"]
        if "fqn" in element and element["fqn"] != _ANYTHING:
            return {"block": _arguments(types, element["fqn"])}
        return {"type": {"array": "list", "map": "map"}[declared["collection"]["kind"]]}
    return {"type": declared["primitive"]}


def _snake(name: str) -> str:
    return re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name)


def _arguments(types: Types, structure: str, leave_out: frozenset[str] = frozenset()) -> Types:
    found: Types = {}
    for each in types[structure].get("properties", []):
        # The description links to the argument under its own name.
        link = re.search(r"#(\w+) ", json.dumps(each.get("docs", {})))
        name = link[1] if link else _snake(each["name"])
        if name not in leave_out:
            found[name] = _argument(types, each["type"])
            if not each.get("optional"):
                found[name]["required"] = True
    return found


def _resource(types: Types, resource: str) -> Types:
    camel = re.sub("_(.)", lambda found: found[1].upper(), resource.removeprefix("google_"))
    name = f"{_PACKAGE}.{camel}.{camel[0].upper()}{camel[1:]}"
    found = _arguments(types, f"{name}Config", frozenset(_NOT_ARGUMENTS))
    for each in types[name]["properties"]:
        told = _snake(each["name"])
        is_word = each.get("immutable") and each["type"] == {"primitive": "string"}
        if is_word and told not in found and not told.endswith("_input") and not each.get("const"):
            found[told] = {"type": "string", "read_only": True}
    for (of, block), parts in _FILLED_IN.items():
        if of == resource:
            found[block]["computed"] = True
            told = {part: {"type": "string", "read_only": True} for part in parts}
            found[block]["block"] |= told
    return found


def main() -> None:
    text = "\n".join(file.read_text() for file in (ROOT / "terraform").rglob("*.tf"))
    used = sorted(set(re.findall(r'^resource "(\w+)"', text, re.MULTILINE)))
    types = _read(Path(sys.argv[1]))
    print(json.dumps({name: _resource(types, name) for name in used}, sort_keys=True))


if __name__ == "__main__":
    main()
