"""Runs commands and snippets of documents as they are written, host and port aside."""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from sie_sdk import SIEClient
from tests.charts.rendering import CHART, ROOT

_BIN = Path(__file__).parent / "bin"


@dataclass
class Place:
    """Where documents' commands run.

    Args:
        folder: their working directory, which they may write to.
        http: host:port of a gateway, for which the documents have names.
        grpc: the same of its gRPC face.
        env: further variables.
        include: whether curl prints headers too.
        scopes: names that snippets have defined, whose clients are closed at the end.
    """

    folder: Path
    http: str = ""
    grpc: str = ""
    env: dict[str, str] = field(default_factory=dict)
    include: bool = True
    scopes: list[dict[str, Any]] = field(default_factory=list)

    def here(self, text: str) -> str:
        """The text with this gateway's addresses."""
        text = re.sub(r"sie\.example\.com|localhost:8080", self.http, text) if self.http else text
        return text.replace("localhost:9090", self.grpc) if self.grpc else text

    def shell(self, text: str) -> str:
        """Runs shell commands; returns what they print."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        options = ["silent", "show-error", "max-time = 60", *["include"] * self.include]
        (home / ".curlrc").write_text("\n".join(options))
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.here(text)],
            cwd=self.folder,
            env={**os.environ, **self._env(home), **self.env},
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _env(self, home: Path) -> dict[str, str]:
        tools = ROOT / ".sie" / "tools"
        path = [_BIN, Path(sys.executable).parent, tools]
        found = {
            "HOME": str(home),
            "CURL_HOME": str(home),
            "PATH": os.pathsep.join([*map(str, path), os.environ["PATH"]]),
            "PYTHONPATH": os.pathsep.join(str(ROOT / each) for each in (".", "gen", "sdk/src")),
            "SIE_CHART": str(CHART),
            "SIE_HTTP_PORT": self.http.rpartition(":")[2],
            "SIE_GRPC_PORT": self.grpc.rpartition(":")[2],
            "KUBECONFIG": os.devnull,
        }
        for name in ("helm", "kubectl"):
            if at := shutil.which(name, path=f"{tools}{os.pathsep}{os.environ['PATH']}"):
                found[f"SIE_{name.upper()}"] = at
        return found

    def python(self, text: str, names: dict[str, Any] | None = None) -> str:
        """Runs Python in this process; returns what it prints.

        Args:
            text: the snippet.
            names: what earlier snippets have defined, and where this one defines its own.
        """
        printed = io.StringIO()
        code = compile(self.here(text), "snippet", "exec")
        scope = names if names is not None else {}
        self.scopes.append(scope)
        with contextlib.redirect_stdout(printed), contextlib.chdir(self.folder):
            exec(code, scope)
        return printed.getvalue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in [value for scope in self.scopes for value in scope.values()]:
            if isinstance(each, SIEClient):
                each.close()
