"""The command `feda2v runs`."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feda2v_cli.cli.options import AsJson, ConsoleOptions, RunsDir
from feda2v_cli.cli.output import command_output
from feda2v_cli.cli.tables import size, table
from feda2v_cli.counted import counted

if TYPE_CHECKING:
    from feda2v_cli.report.content import RunContent
    from feda2v_cli.run.record import RunRecord

app = typer.Typer(help="List, show and remove runs.", no_args_is_help=True, rich_markup_mode=None)

RunName = Annotated[str, typer.Argument(metavar="RUN", help="A directory, or the name of a run or its beginning.")]
RUNS = Path("runs")


@app.command("ls", epilog="Example: feda2v runs ls")
def list_runs(runs: RunsDir = RUNS, as_json: AsJson = False) -> None:
    """List runs, the oldest first."""
    with command_output("runs ls", ConsoleOptions(as_json)) as output:
        from feda2v_cli.report.result import result_of
        from feda2v_cli.run.record import runs_in

        found = [_listed(record, result_of(record).short) for record in runs_in(runs)]
        if not found:
            output.result({"runs": []}, f"no runs in {runs}/")
            return
        listing = table("UTC time and name", "command", "state", "result", right=("size",))
        for words in listing.columns[:3]:
            words.no_wrap = True
        listing.columns[3].overflow = "fold"
        for one in found:
            listing.add_row(one["name"], one["kind"], one["state"], one["result"], size(one["bytes"]))
        output.result({"runs": found}, listing)


@app.command("show", epilog="Example: feda2v runs show 20261126T0923")
def show_run(run: RunName, runs: RunsDir = RUNS, as_json: AsJson = False) -> None:
    """Show what was run, and what came of it."""
    with command_output("runs show", ConsoleOptions(as_json)) as output:
        from feda2v_cli.report.content import RunContent
        from feda2v_cli.run.find import find_run

        content = RunContent.of(find_run(run, runs), with_audio=False)
        output.result(_shown(content), *_lines(content))


@app.command("rm", epilog="Example: feda2v runs rm 20261126T092332Z-use_pretrained")
def remove_runs(
    names: Annotated[
        list[str], typer.Argument(metavar="RUN…", help="Directories, or names of runs or their beginnings.")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.", show_default=False)] = False,
    runs: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Remove runs, with what it takes to go on with them.

    Checkpoints lie elsewhere and stay.
    """
    with command_output("runs rm", ConsoleOptions(as_json)) as output:
        from feda2v_cli.errors import UsageError
        from feda2v_cli.run.find import find_runs, remove_run

        found = find_runs(names, runs)
        sizes = [record.size_bytes() for record in found]
        if not yes:
            if not sys.stdin.isatty():
                raise UsageError("nobody is there to be asked", hint=f"feda2v runs rm {' '.join(names)} --yes")
            for record, count in zip(found, sizes, strict=True):
                output.note(f"{record.path}  {record.state}  {size(count)}")
            if not _agrees(f"remove {counted(len(found), 'run')}?"):
                output.result({"removed": []}, "nothing was removed")
                return
        for record in found:
            remove_run(record)
        removed = [{"path": str(record.path), "bytes": count} for record, count in zip(found, sizes, strict=True)]
        output.result({"removed": removed}, f"removed {counted(len(found), 'run')}, {size(sum(sizes))}")


def _agrees(question: str) -> bool:
    """Whether the user says yes; stdout is for the result."""
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _listed(record: "RunRecord", result: str) -> dict[str, Any]:
    return {
        "name": record.name,
        "path": str(record.path),
        "started": record.started.isoformat() if record.started else None,
        "kind": record.kind,
        "command": list(record.command),
        "state": record.state,
        "result": result,
        "bytes": record.size_bytes(),
    }


def _shown(content: "RunContent") -> dict[str, Any]:
    from feda2v_cli.report.settings import changed

    record = content.record
    return _listed(record, content.result.sentence) | {
        "ended": record.ended.isoformat() if record.ended else None,
        "seconds": record.seconds,
        "peak_memory_bytes": record.peak_memory_bytes,
        "figures": dict(content.result.figures),
        "settings": {
            setting.key: {"value": setting.value, "origin": setting.origin}
            for setting in changed(content.settings or ())
        },
        "findings": [dict(found) for found in content.history.findings],
        "warnings": content.history.warnings,
        "error": record.error,
        "damaged_lines": content.history.damaged,
        "runs": [inner.record.name for inner in content.inner],
    }


def _lines(content: "RunContent") -> Iterator[Any]:
    from feda2v_cli.report.sections.what_was_run import facts
    from feda2v_cli.report.settings import changed

    about = table("", "")
    about.show_header = False
    for name, value in facts(content).pairs:
        about.add_row(name.lower(), value)
    about.add_row("size", size(content.record.size_bytes()))
    yield about
    yield ""
    yield content.result.sentence
    settings = table("key", "value", "set by")
    for setting in changed(content.settings or ()):
        settings.add_row(setting.key, setting.text, setting.origin)
    yield from ("", settings)
    yield from _notes(content)


def _notes(content: "RunContent") -> Iterable[str]:
    history = content.history
    for found in history.findings:
        yield f"{found['severity']}: {found['path']} {found['message']} ({found['code']})"
        if found["hint"]:
            yield f"  {found['hint']}"
    yield from (f"warning: {text}" for text in history.warnings)
    if history.damaged:
        yield f"warning: skipped {counted(history.damaged, 'damaged line')} of metrics.jsonl"
    yield from (f"within it: {inner.record.path}  {inner.result.short}" for inner in content.inner)
