"""What was run: the command, the profile, the machine."""

from collections.abc import Iterator

from feda2v_cli.counted import counted
from feda2v_cli.report.content import RunContent
from feda2v_cli.report.parts import Facts, Part, Section, Table, Text, name_cell
from feda2v_cli.report.quantities import duration_text, size, time_text
from feda2v_cli.report.settings import changed

STATE_WORDS = {
    "running": "still running",
    "done": "done",
    "interrupted": "interrupted",
    "failed": "failed",
    "killed": "killed: it says that it is running, and no process runs it",
    "damaged": "not known: run.json is damaged",
}


def what_was_run(run: RunContent) -> Section:
    """The command, what differs from the defaults of its profile and why, versions, machine, time and memory."""
    parts: list[Part] = [facts(run)]
    if run.history.damaged:
        lines = counted(run.history.damaged, "damaged line")
        parts.append(Text(f"Skipped {lines} of metrics.jsonl.", is_warning=True))
    if run.settings is None:
        parts.append(Text("resolved.toml is damaged or not there: the profile is not known.", is_warning=True))
        return Section("What was run", parts)
    rows = [tuple(map(name_cell, (one.key, one.text, one.origin))) for one in changed(run.settings)]
    parts.append(Table("Profile: what differs from the defaults", ("key", "value", "set by"), rows, (False,) * 3))
    return Section("What was run", parts)


def facts(run: RunContent) -> Facts:
    """What `run.json` says."""
    return Facts([(name, value) for name, value in _facts(run) if value])


def _facts(run: RunContent) -> Iterator[tuple[str, str]]:
    record, info = run.record, run.record.info
    yield "Command", record.command_line
    yield "Directory", str(record.path)
    yield "State", STATE_WORDS[record.state]
    yield "Started", time_text(record.started)
    yield "Took", duration_text(record.seconds)
    yield "Memory", f"{size(record.peak_memory_bytes)} at most" if record.peak_memory_bytes else ""
    seed = run.value("experiment.seed")
    yield "Seed", "" if seed is None else str(seed)
    yield "Machine", ", ".join(_machine(info.get("machine"), info.get("platform")))
    versions = info.get("versions")
    yield (
        "Versions",
        ", ".join(f"{name} {text}" for name, text in versions.items()) if isinstance(versions, dict) else "",
    )
    yield "Commit", str(info.get("commit") or "")


def _machine(machine: object, platform: object) -> Iterator[str]:
    if isinstance(machine, dict):
        device, memory = machine.get("device"), machine.get("memory_bytes")
        if device and device != "cpu":
            yield str(device)
        if machine.get("processor"):
            yield f"{machine['processor']} with {machine.get('processors')} cores"
        if isinstance(memory, int):
            yield f"{size(memory)} of memory"
    if platform:
        yield str(platform)
