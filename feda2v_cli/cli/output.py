"""How every command speaks: results to stdout, the rest to stderr, one JSON envelope, exit codes."""

import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from feda2v_cli import __version__
from feda2v_cli.cli.options import ConsoleOptions
from feda2v_cli.cli.streams import lost_result
from feda2v_cli.errors import FailedError, Feda2vError, RunInterrupted, UsageError, first_line
from feda2v_cli.run.json_text import json_text

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

SCHEMA_VERSION = 1
BUG_EXIT_CODE = 5
#: Columns of a table that no terminal bounds.
PIPED_WIDTH_COLUMNS = 160


class Output:
    """Where a command says what it has to say.

    Args:
        command: the command's words, like `checkpoints ls`.
        console: how it is to speak: under --json stdout holds one JSON envelope and nothing else.
    """

    def __init__(self, command: str, console: ConsoleOptions) -> None:
        self.command = command
        self.as_json = console.as_json
        self.quiet = console.quiet
        self.verbose = console.verbose and not console.quiet

    @cached_property
    def out(self) -> "Console":
        """Where results go."""
        return _console(sys.stdout)

    @cached_property
    def err(self) -> "Console":
        """Where everything but results goes."""
        return _console(sys.stderr)

    def result(self, data: dict[str, Any], *renderables: "RenderableType") -> None:
        """Print the result: the envelope with `data` under --json, else the renderables.

        Raises:
            FailedError: stdout does not take it.
        """
        if self.as_json:
            self._envelope({"status": "ok", "data": data})
            return
        with self._to_stdout():
            for renderable in renderables:
                self.out.print(renderable, soft_wrap=isinstance(renderable, str), markup=False, highlight=False)

    def note(self, text: str) -> None:
        """Tell the user something that is good to know."""
        if not self.quiet:
            self.err.print(text, markup=False, highlight=False, soft_wrap=not self.err.is_terminal)

    def detail(self, text: str) -> None:
        """Tell the user something under --verbose alone."""
        if self.verbose:
            self.note(text)

    def warn(self, text: str) -> None:
        """Tell the user something that may be wrong."""
        self.err.print(f"warning: {text}", style="yellow", markup=False, highlight=False, soft_wrap=True)

    def fail(self, error: Feda2vError, data: dict[str, Any] | None = None) -> NoReturn:
        """Print an error and exit with its code.

        Args:
            error: what went wrong.
            data: what the envelope holds beside the error.
        """
        if self.as_json:
            message = {"code": error.code, "message": str(error), "hint": error.hint}
            try:
                self._envelope({"status": "error", "error": message, "data": data or {}})
            except FailedError as lost:
                self.fail(lost)
        else:
            code = f" ({error.code})" if error.code.startswith("FA") else ""
            self._say("error: ", "bold red", f"{error.title}{code}")
            for line in error.details:
                self.err.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
            if error.hint:
                self._say("hint: ", "bold cyan", error.hint)
        raise typer.Exit(error.exit_code)

    def end(self, error: Feda2vError) -> NoReturn:
        """Print an error and end the process with its code, outside of any command."""
        try:
            self.fail(error)
        except typer.Exit as end:
            sys.exit(end.exit_code)

    def _say(self, label: str, style: str, text: str) -> None:
        from rich.text import Text

        self.err.print(Text.assemble((label, style), text), soft_wrap=True)

    def _envelope(self, body: dict[str, Any]) -> None:
        head = {"schema_version": SCHEMA_VERSION, "status": body.pop("status"), "command": self.command}
        with self._to_stdout():
            sys.stdout.write(json_text(head | body, encoding=sys.stdout.encoding) + "\n")

    @contextmanager
    def _to_stdout(self) -> Iterator[None]:
        try:
            yield
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            self.as_json = False  # stderr is where it can still be told
            raise lost_result(error) from error


@contextmanager
def command_output(command: str, console: ConsoleOptions) -> Iterator[Output]:
    """The output of a command, and the end of everything that goes wrong within.

    Args:
        command: the command's words, like `checkpoints ls`.
        console: how it is to speak.

    Raises:
        typer.Exit: with the exit code of what went wrong.
    """
    output = Output(command, console)
    try:
        yield output
    except Feda2vError as error:
        output.fail(error)
    except KeyboardInterrupt:
        output.fail(RunInterrupted("interrupted"))
    except BrokenPipeError:
        # The reader of stdout has gone, like `head`: nobody is left to tell. Python's last flush must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except typer.Exit:
        raise
    except OSError as error:
        output.fail(_of_the_system(error))
    except Exception as error:  # noqa: BLE001 - the one place where a bug of this program ends
        traceback.print_exc()
        output.fail(_bug(error))


def _of_the_system(error: OSError) -> Feda2vError:
    """What the system refuses is no bug of this program: its own words, and the file."""
    words = error.strerror or first_line(error)
    return FailedError(words if error.filename is None else f"{error.filename} cannot be used — {words}")


def _bug(error: Exception) -> Feda2vError:
    bug = Feda2vError(
        f"a bug in feda2v {__version__}: {type(error).__name__}: {error}",
        ["nothing that you did should end like this"],
        hint=f"please report it with the lines above{_address_for_reports()}",
    )
    bug.exit_code = BUG_EXIT_CODE  # type: ignore[misc]
    bug.code = "bug"
    return bug


def _address_for_reports() -> str:
    """`: ADDRESS`, if the package's metadata have one; else nothing."""
    from importlib.metadata import PackageNotFoundError, metadata  # takes longer than all else that --help imports

    try:
        addresses = metadata("feda2v").get_all("Project-URL") or ()
    except PackageNotFoundError:  # it runs from a directory that was never installed
        return ""
    by_label = {label.lower(): address for label, _, address in (line.partition(", ") for line in addresses)}
    return next((f": {by_label[label]}" for label in ("issues", "bug tracker") if label in by_label), "")


@contextmanager
def exit_on_misuse(arguments: Sequence[str]) -> Iterator[None]:
    """End a command line that cannot be understood like every other error: on stderr, or as an envelope."""
    # Typer's own errors share a class whose module moved between its versions.
    misuse: Any = typer.BadParameter.__mro__[1]
    try:
        yield
    except misuse as error:
        context = error.ctx
        words = context.command_path if context else "feda2v"
        command = words.removeprefix("feda2v").strip() or "feda2v"
        output = Output(command, ConsoleOptions(as_json="--json" in arguments))
        text = error.format_message()
        if type(error).__name__ == "NoArgsIsHelpError":
            sys.stderr.write(f"{text}\n")
            sys.exit(UsageError.exit_code)
        output.end(UsageError(text[0].lower() + text[1:].rstrip("."), hint=f"{words} --help"))
    except OSError as error:  # of --help and --version; what commands write has its own end
        Output("feda2v", ConsoleOptions()).end(lost_result(error))
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(RunInterrupted.exit_code)


def is_plain(stream: Any) -> bool:
    """Whether a stream gets no colour, no animation and no control character."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb" or not stream.isatty()


def _console(stream: Any) -> "Console":
    from rich.console import Console

    if not is_plain(stream):
        return Console(file=stream)
    width = None if stream.isatty() else int(os.environ.get("COLUMNS", PIPED_WIDTH_COLUMNS))
    return Console(file=stream, force_terminal=False, no_color=True, color_system=None, width=width)
