"""The `sie` command.

Each command is a module, imported only when it is the one that runs: `sie up` starts its
processes before anything slow is imported.
"""

from importlib import import_module
from keyword import iskeyword

import click

_COMMANDS = (
    "up",
    "encode",
    "score",
    "extract",
    "batch",
    "models",
    "pools",
    "status",
    "dlq",
    "apply",
    "diff",
    "registry",
    "verify",
    "export",
    "import",
    "version",
)


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(_module_of(cmd_name)).command
        return command


def _module_of(cmd_name: str) -> str:
    # A module named by a keyword could not be imported by anything else.
    return f"cli.commands.{cmd_name}_" if iskeyword(cmd_name) else f"cli.commands.{cmd_name}"


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Inference for encoders: embeddings, reranking and extraction behind one contract."""


if __name__ == "__main__":
    main()
