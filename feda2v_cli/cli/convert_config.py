"""The command `feda2v convert-config`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feda2v_cli.cli.options import ConsoleOptions, Force, takes_options
from feda2v_cli.cli.output import Output, command_output
from feda2v_cli.cli.tables import table

if TYPE_CHECKING:
    from rich.table import Table

    from feda2v_cli.errors import Feda2vError
    from feda2v_cli.legacy.config.files import Job

EPILOG = """\
Example: feda2v convert-config old.json -o new.toml

A directory of them: feda2v convert-config configs -o converted
"""


@takes_options
def convert_config(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SRC…", help="JSON files of the earlier system, or directories of them.")
    ],
    *,
    destination: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="PATH", help="A file, or a directory.", show_default="stdout"),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Unknown keys, data sets and classes are errors.", show_default=False)
    ] = False,
    force: Force = False,
    console: ConsoleOptions,
) -> None:
    """Turn old configurations into profiles.

    They are those of the earlier system. Where every key went is reported.
    """
    with command_output("convert-config", console) as output:
        from feda2v_cli.errors import Feda2vError
        from feda2v_cli.legacy.config.files import plan

        jobs = plan(
            sources,
            None if destination is None else Path(destination),
            force=force,
            into_directory=destination is not None and destination.endswith("/"),
        )
        done: list[dict[str, Any]] = []
        refused: list[Feda2vError] = []
        for job in jobs:
            try:
                done.append(_convert(job, strict=strict))
            except Feda2vError as error:
                refused.append(error)
        if console.as_json and not refused:
            output.result({"files": done})
        elif not console.as_json:
            _show(output, done, alone=len(jobs) == 1)
        if refused:
            output.fail(_together(refused), {"files": done})


def _convert(job: "Job", *, strict: bool) -> dict[str, Any]:
    from feda2v_cli.legacy.config.convert import convert
    from feda2v_cli.legacy.config.files import save
    from feda2v_cli.legacy.config.read import read_file
    from feda2v_cli.legacy.config.report import report
    from feda2v_cli.legacy.config.write import profile_text

    conversion = convert(read_file(job.source), strict=strict)
    path = str(job.output or job.source.with_suffix(".toml").name)
    text = profile_text(conversion, path)
    if job.output is not None:
        save(text, job.output)
    output = None if job.output is None else str(job.output)
    told = report(conversion, path)
    return {"source": told.pop("source"), "output": output, **told, "profile": text}


def _show(output: Output, done: list[dict[str, Any]], *, alone: bool) -> None:
    if alone and done and done[0]["output"] is None:
        output.result({}, done[0]["profile"].rstrip())
        if not output.quiet:
            output.err.print(_keys(done[0]))
    elif alone and done:
        output.result({}, _keys(done[0]))
    elif done:
        output.result({}, _files(done))
    for file in done:
        for warning in file["warnings"]:
            output.warn(warning)
        if file["defaults"]:
            _note(output, file, alone, _silent(file["defaults"]))
        if file["notes"]:
            _note(output, file, alone, _harmless(file["notes"]))
        for need in file["needs"]:
            _note(output, file, alone, need)
        if alone:
            output.note(f"{file['purpose']}, run it with: {' && '.join(file['commands'])}")


def _note(output: Output, file: dict[str, Any], alone: bool, text: str) -> None:
    if alone:
        output.note(f"note: {text}")
    else:
        output.detail(f"note: {file['source']}: {text}")


def _silent(defaults: list[dict[str, Any]]) -> str:
    """What is written where the file is silent, and what is not."""
    from feda2v_cli.profile.problem import shown

    written = [default for default in defaults if default["now"] == default["earlier"]]
    texts = [f"{default['becomes']} = {shown(default['now'])}" for default in written]
    text = f"where the file is silent the earlier default is written: {', '.join(texts)}" if texts else ""
    others = [
        f"{default['becomes']} is {default['now']}; the earlier system had {default['earlier']}"
        for default in defaults
        if default not in written
    ]
    return "; ".join(filter(None, [text, *others]))


def _harmless(notes: list[str]) -> str:
    """In one line what changes no result."""
    parts = [note.split(" ", 1)[1] for note in notes]
    return f"no other result by: {'; '.join(parts)}"


def _keys(file: dict[str, Any]) -> "Table":
    """Where every key of one file went."""
    keys = table()
    for title in ("earlier key", "value", "becomes", "why"):
        keys.add_column(title, overflow="fold")
    told: set[str] = set()
    for key in file["renamed"]:
        becomes = "\n".join(f"{new['key']} = {_value(new)}" for new in key["becomes"])
        _row(keys, key, becomes or "(read)", key["note"], told)
    for reason in dict.fromkeys(key["reason"] for key in file["dropped"]):
        for key in _of_nodes_together([key for key in file["dropped"] if key["reason"] == reason]):
            _row(keys, key, "dropped", reason, told)
    for key in file["unknown"]:
        meant = f"did you mean {key['meant']}?" if key["meant"] else "not a key of the earlier system"
        _row(keys, key, "unknown", meant, set())
    return keys


def _of_nodes_together(dropped: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same keys, one for all nodes that have the same value in it."""
    alike: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for key in dropped:
        section, _, rest = key["key"].partition(".")
        name = rest.partition(".")[2] if section == "nodes" else ""
        alike.setdefault((name or key["key"], str(key["value"])), []).append(key)
    together = []
    for (name, _), keys in alike.items():
        if len(keys) == 1:
            together.append(keys[0])
            continue
        ids = ", ".join(key["key"].split(".")[1] for key in keys)
        together.append(keys[0] | {"key": f"nodes.N.{name} (N = {ids})"})
    return together


def _row(keys: "Table", key: dict[str, Any], becomes: str, why: str, told: set[str]) -> None:
    """A key in a row of its own, so that its value stands beside it at any width; a reason is told once."""
    from feda2v_cli.profile.problem import shown

    keys.add_row(key["key"], shown(key["value"], 30), becomes, why if why not in told else "")
    told.add(why)


def _value(new: dict[str, Any]) -> str:
    from feda2v_cli.profile.problem import shown

    if new["value"] is None:
        return "(as for all others)" if new["key"].startswith("nodes.") else "(follows the granularity)"
    return shown(new["value"], 40) + ("" if new["written"] else " (default)")


def _files(done: list[dict[str, Any]]) -> "Table":
    """One line a file."""
    files = table("source", "profile", "for", "renamed", "dropped", "unknown", "warnings")
    for file in done:
        counts = [str(len(file[kind])) for kind in ("renamed", "dropped", "unknown", "warnings")]
        files.add_row(file["source"], file["output"], file["purpose"], *counts)
    return files


def _together(refused: "list[Feda2vError]") -> "Feda2vError":
    """One error for all files that could not be converted; it ends with the exit code of the first."""
    if len(refused) == 1:
        return refused[0]
    lines = [line for error in refused for line in str(error).splitlines()]
    return type(refused[0])(f"{len(refused)} files could not be converted", lines, hint=refused[0].hint)
