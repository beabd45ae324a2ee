"""What a person is told when a command cannot do its work: a sentence, then exit code 1."""

import click


class CommandError(click.ClickException):
    """A failure that the user can act on. Printed without a traceback."""
