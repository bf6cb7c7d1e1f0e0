"""docs/command-line.md, made from the commands, the errors and the codes of findings.

Make it again with `python -m feda2v_cli.cli.page > docs/command-line.md`.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import typer

from feda2v_cli import errors
from feda2v_cli.cli.main import app
from feda2v_cli.cli.output import BUG_EXIT_CODE, SCHEMA_VERSION
from feda2v_cli.errors import FailedError, Feda2vError
from feda2v_cli.verifier.codes import CODES

_HEAD = f"""\
# The command line

<!-- Made from the commands themselves. Make it again with:
     python -m feda2v_cli.cli.page > docs/command-line.md -->

People type these commands and scripts parse them, so names of commands and options, JSON fields, exit codes and codes
of findings are promises: tests pin them.

Results go to stdout; progress, notes, warnings and errors go to stderr. With `NO_COLOR`, `TERM=dumb` or without a
terminal there is no colour, no animation and no control character, and progress is one plain line a round at most.
What stderr does not take is lost, and no run stops for it; a result that stdout does not take is exit code 1. A letter
that the encoding of a stream lacks is escaped, and so is a byte of a path that is no UTF-8.

With `--json`, stdout is exactly one object, with the command's `data` as described below:

```json
{json.dumps({"schema_version": SCHEMA_VERSION, "status": "ok", "command": "checkpoints verify", "data": {}})}
```

or, with the same exit code as without `--json`:

```json
{
    json.dumps(
        {
            "schema_version": SCHEMA_VERSION,
            "status": "error",
            "command": "federate",
            "error": {"code": "FA003", "message": "…", "hint": "…"},
            "data": {},
        },
        ensure_ascii=False,
    )
}
```

In the tables of fields `a[].b` is the field `b` of every object in the list `a`, and `<node>` stands for a node's id.
A field without a value is null.
"""

_PLAN = {
    "memory_bytes": "what training would take, PyTorch included",
    "disk_bytes": "of all files",
    "files": "that would be written",
    "would_overwrite": "those of them that are there already",
}

_STATE = "running, done, interrupted, failed, killed or damaged"
_RUN = {
    "name": "of the directory",
    "path": "the directory",
    "started": "when",
    "kind": "the command that made it",
    "command": "words of the command line",
    "state": _STATE,
    "result": "in words",
    "bytes": "of all its files",
}

#: What `data` holds, by command: the field and what it is.
DATA: Mapping[str, Mapping[str, str]] = {
    "train-generators": {
        "run_dir": "directory of the run",
        "granularity": "of the profile",
        "encoder": "name of the audio encoder",
        "seconds": "from start to end",
        "samples_per_second": "clips that models trained on in a second of training",
        "peak_memory_bytes": "most that the process held at once",
        "checkpoints[].path": "the file",
        "checkpoints[].node": "id of the node",
        "checkpoints[].key": "class or group; null for unified",
        "checkpoints[].classes": "that the generator can make",
        "checkpoints[].round": "after which it was saved",
        "checkpoints[].final": "whether training had ended",
        "checkpoints[].parameters": "numbers in its tensors",
        "checkpoints[].bytes": "of the file",
        "checkpoints[].loss": "of the last epoch",
    },
    "train-generators --dry-run": {
        "generators[].node": "id of the node",
        "generators[].key": "class or group; null for unified",
        "generators[].classes": "that it would make",
        "generators[].clips": "that would train it",
        "generators[].parameters": "numbers in its tensors, at most",
        "generators[].bytes": "of its file, at most",
        **_PLAN,
    },
    "federate": {
        "run_dir": "directory of the run",
        "strategy": "of the profile",
        "engine": "of the profile",
        "seconds": "from start to end",
        "rounds[].round": "a round that was evaluated",
        "rounds[].accuracy": "retrieval accuracy over all classes, on clips held out",
        "rounds[].node_accuracy.<node>": "the same for the clips of a node; null without such clips",
        "rounds[].loss": "on these clips, by target space",
        "final.accuracy": "after the last round",
        "final.node_accuracy.<node>": "for the clips of a node",
        "final.per_class_accuracy": "by class",
        "final.loss": "by target space",
        "final.cosine": "by target space: of clips to the `own` class's target and to the nearest `other`, centred",
        "synthetic.per_class": "samples of a class",
        "synthetic.generators": "how many made them",
        "synthetic.node_samples": "samples of every node, by its id",
        "synthetic.server_samples": "samples that the server trains on",
        "synthetic.use": "local, server, kd",
        "synthetic.granularity": "of the generators; only with generators",
        "synthetic.directory": "where they lie; only with generators",
        "synthetic.refresh": "once or round; only with generators",
        "baselines": "with `--baselines`: `none`, `fedavg`, `central` and `one_shot`, each of the form of `final`",
    },
    "flower keys": {
        "files": "that were made",
        "machines.<machine>": "names of the files that a machine needs",
    },
    "flower server": {"state": "directory of its state and its log"},
    "flower node": {"run_dir": "directory of the run"},
    "federate --dry-run": {
        "nodes[].node": "id of the node",
        "nodes[].classes": "of its clips",
        "nodes[].clips": "that train",
        "nodes[].held_out": "clips held out",
        "nodes[].samples_per_class": "that it takes from the others",
        "generators.directory": "where the generators lie; `generators` is null without samples",
        "generators.base_name": "first part of their names",
        "generators.granularity": "of the run that trained them",
        "generators.count": "how many they are",
        "strategy": "of the profile",
        "rounds": "of the profile",
        "parameters": "of an adapter",
        **_PLAN,
    },
    "evaluate": {
        "run_dir": "directory of the run",
        "directory": "of the set",
        "base_name": "first part of its file names",
        "granularity": "of the run that trained it",
        "generator_type": "like vae",
        "generators[].node": "id of the node",
        "generators[].key": "class or group; null for unified",
        "generators[].quality": "figures that need samples and training clips alone",
        "draws": "of samples that were measured",
        "clips.trained": "how many",
        "clips.held_out": "how many",
        "overall": "`tstr`, `trtr`, `kad`, `recall`, `precision`, `density`, `coverage`, `fad`, `spread`, `memorised`: "
        "each `{value, low, high, floor, baseline}`, or null where it has no meaning",
        "per_class": "the same by class",
        "attack": "the strongest that needs a file alone, as of `audit`",
        "verdict": "sound, collapsed, memorised or off-class",
        "reasons": "of the verdict",
        "seconds": "from start to end",
    },
    "audit": {
        "run_dir": "directory of the run",
        "directory": "of the set",
        "base_name": "first part of its file names",
        "granularity": "of the run that trained it",
        "generator_type": "like vae",
        "generators": "how many",
        "clips.members": "that trained",
        "clips.others": "that did not",
        "attacks": "by name: `needs`, which is file, public, samples or copy, with `auc`, its interval from `low` to "
        "`high`, the shares `found_at_1_percent` and `found_at_0_1_percent` of false alarms, null where too few clips "
        "are held out to tell, `members` and `others`",
        "strongest": "name of the strongest attack that needs a file alone",
        "per_class": "the figures of that attack by class",
        "two_files": "of clips by which two files differ, the `share` that they tell, its interval from `low` to "
        "`high`, the share `by_chance`, and how many `clips` were tried; null where a public basis is not made again",
        "bound": "where every file promises (ε, δ): `epsilon`, `delta`, and the `auc`, `found_at_1_percent` and "
        "`found_at_0_1_percent` that no attack exceeds; null elsewhere",
        "verdict": "guarded, guarded once (two files that differ by a clip tell it), leaking or telling",
        "reasons": "of the verdict",
        "seconds": "from start to end",
    },
    "compare": {
        "run_dir": "directory of the run; what it trained, evaluated and federated has its own in `runs/` there",
        "table[].granularity": "one object for each of the three",
        "table[].generators_per_node": "mean",
        "table[].parameters_per_node": "mean",
        "table[].memory_bytes_per_node": "planned, PyTorch included",
        "table[].disk_bytes_per_node": "of final checkpoints",
        "table[].training_seconds": "of all nodes, beside other parts of the comparison, without making embeddings",
        "table[].tstr": "as of `evaluate`, as are the next three",
        "table[].trtr": "a probe trained on clips",
        "table[].recall": "of the clips",
        "table[].kad": "kernel audio distance",
        "table[].attack": "AUC of the strongest attack that needs a file alone",
        "table[].tstr_share": "of TRTR: `{value, low, high}`",
        "table[].verdict": "as of `evaluate`",
        "table[].accuracy": "of adapters after federate",
        "without_samples.accuracy": "the same without samples",
        "one_shot.accuracy": "the same by strategy `one_shot`, with unified generators; null without samples",
        "setting": "data, clips, rounds and seed",
        "seconds": "from start to end",
        "files": "what was written",
    },
    "targets": {
        "path": "the dictionary file; null without `-o`",
        "targets": "what made them: its identity",
        "fingerprint": "of that identity and of every number",
        "shapes": "of a target, by target space",
        "classes[].class": "of the profile",
        "classes[].nearest": "the other class that lies nearest to it",
        "classes[].cosine": "between the two, centred at the mean target",
        "worst_pairs[].classes": "two that lie near to each other: what a run will confuse first",
        "worst_pairs[].cosine": "between them",
    },
    "images": {
        "run_dir": "directory of the run",
        "directory": "of the pictures and of images.json, which holds the same",
        "contact_sheet": "the sounds and their pictures on one page",
        "pictures[].file": "relative to the directory",
        "pictures[].source": "adapter: of what an adapter makes of the clip; target: of its class's true target",
        "pictures[].class": "of the clip; empty for `--audio`",
        "pictures[].clip": "its file; null for targets, as are the next three",
        "pictures[].split": "train, test or audio",
        "pictures[].node": "whose adapters: an id, or server",
        "pictures[].adapter": "digest of their checkpoint",
        "pictures[].heard": "class whose target lies nearest to what the adapter makes of the clip",
        "pictures[].seed": "of the picture",
        "pictures[].nearest": "with a gallery: its five nearest pictures, each `{picture, caption, class, cosine}`",
        "made": "pictures that were not there yet",
        "maker": "pipeline or gallery, and its settings",
        "retrieval": "share of the clips that are heard as their class",
        "gallery": "by source: `recall_at_1`, `recall_at_5`, what chance reaches, and `clips`",
        "score": "with `--score`: zero-shot figures of adapter, target (ceiling) and shuffled (floor): `pictures`, "
        "`accuracy`, `balanced_accuracy`, `macro_f1`, `clip_score`",
        "seconds": "from start to end",
    },
    "report": {
        "path": "the file",
        "bytes": "of it",
        "runs[].run_dir": "directory of a run that is in it",
        "runs[].kind": "the command that made it",
        "runs[].state": _STATE,
        "runs[].result": "in a sentence",
        "runs[].damaged_lines": "lines of its `metrics.jsonl` that were skipped",
    },
    "runs ls": {f"runs[].{field}": text for field, text in _RUN.items()},
    "runs show": {
        **_RUN,
        "ended": "when",
        "seconds": "that it took",
        "peak_memory_bytes": "most that its process held at once",
        "figures": "of the result, by name",
        "settings": "what differs from the defaults of the profile, by dotted key: `{value, origin}`",
        "findings": "of the verifier: `{code, severity, path, message, hint}`",
        "warnings": "texts",
        "error": "what went wrong: `{code, message, hint}`",
        "damaged_lines": "lines of its `metrics.jsonl` that were skipped",
        "runs": "names of runs within it",
    },
    "runs rm": {
        "removed[].path": "directory that was removed",
        "removed[].bytes": "of all its files",
    },
    "checkpoints ls": {
        "checkpoints[].path": "the file; null in a field below is what it does not say",
        "checkpoints[].node": "id of the node",
        "checkpoints[].key": "class or group",
        "checkpoints[].granularity": "of the generator",
        "checkpoints[].base_name": "first part of its name",
        "checkpoints[].classes": "that it can make",
        "checkpoints[].round": "after which it was saved",
        "checkpoints[].final": "whether training had ended",
        "checkpoints[].bytes": "of the file",
        "checkpoints[].generator_type": "like vae; adapter for adapters",
        "checkpoints[].encoder": "name of the audio encoder",
        "checkpoints[].loss": "of the last epoch",
        "checkpoints[].spread": "of samples, as a share of the clips'",
        "checkpoints[].problem": "why little is known of the file",
    },
    "checkpoints verify": {
        "checked": "checkpoints",
        "errors": "how many",
        "warnings": "how many",
        "findings[].code": "like FA009",
        "findings[].name": "the code in words",
        "findings[].severity": "error or warning",
        "findings[].path": "file or directory that it is about",
        "findings[].tensor": "that it is about",
        "findings[].message": "what is wrong",
        "findings[].hint": "the command that mends it",
    },
    "checkpoints verify --explain": {
        "code": "like FA009",
        "name": "the code in words",
        "severity": "error or warning",
        "meaning": "when it is reported",
        "remedy": "what to do",
    },
    "convert-config": {
        "files[].source": "the file",
        "files[].output": "the profile's; null for stdout",
        "files[].purpose": "RUN 1, RUN 2 or both",
        "files[].commands": "that run it",
        "files[].renamed": "keys that went into the profile: `{key, value, line, becomes, note}`",
        "files[].dropped": "keys that a profile has no place for: `{key, value, line, reason}`",
        "files[].unknown": "keys that the earlier system did not have: `{key, value, line, meant}`",
        "files[].warnings": "what makes another result, in lines that begin with their place",
        "files[].notes": "what changes no result, in lines that begin with their place",
        "files[].defaults": "what the file leaves open and was another value before: `{key, becomes, now, earlier}`",
        "files[].needs": "what has to be there for a run",
        "files[].profile": "its text",
    },
    "profiles ls": {
        "profiles[].name": "of a shipped profile",
        "profiles[].path": "its file",
        "profiles[].summary": "what it does",
    },
    "profiles show": {
        "name": "of the file, without its ending",
        "path": "the file",
        "profile": "every value",
        "origins": "by dotted key, where a value comes from that is no default",
    },
    "profiles partition": {
        "path": "the profile",
        "nodes[].node": "id of the node",
        "nodes[].train": "clips that train",
        "nodes[].val": "clips for validation",
        "nodes[].test": "clips held out",
        "nodes[].classes": "clips of each class",
    },
    "profiles check": {
        "path": "the file",
        "nodes": "how many",
        "classes": "of all nodes",
    },
}  # fmt: skip


def page() -> str:
    """The page as Markdown."""
    parts = [_HEAD]
    for name, command in commands():
        parts += [f"\n## feda2v {name}\n\n", *_about(command)]
        for variant, fields in DATA.items():
            if variant == name or variant.startswith(f"{name} --"):
                parts += [f"\n`{variant} --json`:\n\n| field | what it is |\n|---|---|\n"]
                parts += [f"| `{field}` | {_cell(text)} |\n" for field, text in fields.items()]
    parts += ["\n## Exit codes\n\n| code | when | `error.code` |\n|---|---|---|\n", *_exit_codes()]
    parts += ["\n## Findings of the verifier\n\nCodes are never reused or renumbered. Errors that are tolerable are "]
    parts += ["warnings with `--permissive`.\n\n| code | name | severity | when |\n|---|---|---|---|\n"]
    for meaning in CODES.values():
        severity = meaning.to_dict()["severity"] + (", tolerable" if meaning.tolerable else "")
        parts.append(f"| {meaning.code} | {meaning.name} | {severity} | {_cell(meaning.meaning)} |\n")
    return "".join(parts)


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its words, like `checkpoints ls`."""
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        nested = getattr(command, "commands", None)
        yield from ((f"{name} {own}", inner) for own, inner in nested.items()) if nested else [(name, command)]


def _about(command: Any) -> Iterator[str]:
    yield f"{command.help.strip()}\n\n| option | what it is | default |\n|---|---|---|\n"
    for parameter in command.params:
        names = [f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts)]
        if parameter.param_type_name == "argument":
            names = [f"`{parameter.metavar}`"]
        elif parameter.metavar and not parameter.is_flag:
            names[-1] = f"{names[-1][:-1]} {parameter.metavar}`"
        yield f"| {_cell(', '.join(names))} | {_cell(parameter.help)} | {_default(parameter)} |\n"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "(needed)"
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    return str(parameter.default) if parameter.show_default and parameter.default is not None else ""


def _exit_codes() -> Iterator[str]:
    by_code: dict[int, list[type[Feda2vError]]] = {}
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, Feda2vError) and kind is not Feda2vError:
            by_code.setdefault(kind.exit_code, []).append(kind)
    rows = [(0, "Done.", "")]
    for code, kinds in by_code.items():
        texts = [str(kind.__doc__).partition("\n")[0] for kind in kinds]
        found = ", a finding's code like `FA009`" if code == FailedError.exit_code else ""
        rows.append((code, " ".join(texts), ", ".join(f"`{kind.code}`" for kind in kinds) + found))
    rows.append((BUG_EXIT_CODE, "A bug in this program; a traceback stands above the error.", "`bug`"))
    for code, text, error_codes in sorted(rows):
        yield f"| {code} | {_cell(text)} | {error_codes} |\n"


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
