"""The `sie` command.

Each command is a module, imported only when it is the one that runs: `sie up` starts its
processes before anything slow is imported.
"""

# As shells count: 128 and the number of the signal.
_INTERRUPTED = 130

try:
    import errno
    from importlib import import_module
    from keyword import iskeyword
    from typing import Any

    import click
except KeyboardInterrupt:
    raise SystemExit(_INTERRUPTED) from None

# Each with what the list of commands says of it, so that listing them imports none.
_COMMANDS = {
    "up": "Start a whole cluster on this machine.",
    "encode": "Turn texts into embeddings.",
    "score": "Rank documents by their relevance to a query.",
    "extract": "Find entities and classes in texts.",
    "batch": "Run many requests from a file.",
    "models": "List the models that a gateway serves.",
    "pools": "List pools of workers, or lease one.",
    "status": "Show whether a gateway is ready, and its workers.",
    "doctor": "Say what is wrong with a cluster, and what to do.",
    "dlq": "Look into work that was given up, and replay it.",
    "apply": "Make the registry hold what files define.",
    "diff": "Show what `sie apply` would change.",
    "registry": "The registry's past: history, rollback, export.",
    "verify": "Compare a compiled checkpoint with its original.",
    "export": "Write models into an archive, for `sie import`.",
    "import": "Unpack the models of an archive.",
    "version": "Print the version.",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(_module_of(cmd_name)).command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Imports and runs the command. Ctrl-C ends it without a word, as it ends other programs.

        Raises:
            SystemExit: Ctrl-C was pressed.
            ClickException: an argument is not UTF-8, or a file cannot be read or written.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise SystemExit(_INTERRUPTED) from None
        except UnicodeEncodeError as error:
            # Arguments that are not UTF-8 get through to where they are first written down.
            text = error.object.encode(errors="surrogateescape")
            raise click.ClickException(f"not UTF-8: {text!r}") from None
        except OSError as error:
            # Whoever reads no further, such as `head`, is no failure; click sees to that.
            if error.errno == errno.EPIPE:
                raise
            place = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(f"{place}{error.strerror or error}") from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


def _module_of(cmd_name: str) -> str:
    # A module named by a keyword could not be imported by anything else.
    return f"cli.commands.{cmd_name}_" if iskeyword(cmd_name) else f"cli.commands.{cmd_name}"


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Begin with `sie up`; it shows what to ask. `sie COMMAND --help` says more of each.",
)
def main() -> None:
    """Inference for encoders: embeddings, reranking and extraction behind one contract."""


if __name__ == "__main__":
    main()
