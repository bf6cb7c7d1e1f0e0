"""Help that is the same with every Typer that may be installed."""

from typing import Any

from typer import core


def mend_help() -> None:
    """Give Typer 0.20, the newest that Flower allows, what its help lacks beside Click 8.4 and later.

    An argument loses its text, for its class of Click sets that once more, to nothing; with it, Click lists what Typer
    lists already. And what stands in brackets has a backslash for Rich before it, where no Rich prints it.
    """
    core.HAS_RICH = False
    argument: Any = core.TyperArgument
    command: Any = core.TyperCommand
    make = argument.__init__

    def make_with_help(self: Any, *, help: str | None = None, **given: Any) -> None:  # noqa: A002 - Typer's name
        make(self, help=help, **given)
        self.help = self.help or help

    argument.__init__ = make_with_help
    command.format_arguments = lambda *_: None
