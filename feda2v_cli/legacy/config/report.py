"""What a conversion tells: where every key went, and what to do next."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from feda2v_cli.legacy.config.convert import Conversion
from feda2v_cli.legacy.config.draft import Purpose, listed
from feda2v_cli.legacy.config.encoder import AST
from feda2v_cli.legacy.config.write import commands, has_root, written_keys
from feda2v_cli.profile.key_path import KeyPath, dotted, position
from feda2v_cli.profile.problem import Problem


def report(conversion: Conversion, path: str) -> dict[str, Any]:
    """Where every key of a file went, as plain values.

    Args:
        conversion: what was converted.
        path: the file of the profile, for the commands.

    Returns:
        `source`, `purpose`, `commands`; `renamed`, `dropped` and `unknown`, lists with one object a key; `warnings`,
        what changes the result, and `notes`, what does not, lines that begin with their place; `defaults`, which the
        file left open, what they were, and what they are; `needs`, what has to be there that no configuration of the
        earlier system could say.
    """
    draft = conversion.draft
    dropped = {drop.path: drop for drop in draft.dropped}
    written = written_keys(conversion)
    return {
        "source": draft.file.source,
        "purpose": draft.purpose.value,
        "commands": list(commands(conversion, path)),
        "renamed": [
            {
                **_key(conversion, entry.path, entry.value),
                "becomes": list(_becomes(conversion, entry.path, written)),
                "note": entry.key.why,
            }
            for entry in conversion.entries
            if entry.path not in dropped
        ],
        "dropped": [
            {**_key(conversion, drop.path, drop.value), "reason": drop.reason}
            for drop in sorted(dropped.values(), key=lambda drop: position(draft.file.places, drop.path))
        ],
        "unknown": [
            {**_key(conversion, unknown.path, unknown.value), "meant": unknown.meant} for unknown in conversion.unknown
        ],
        "warnings": _merged(conversion, draft.warnings),
        "notes": _merged(conversion, draft.notes),
        "defaults": list(_defaults(conversion)),
        "needs": list(_needs(conversion)),
    }


def _key(conversion: Conversion, path: KeyPath, value: Any) -> dict[str, Any]:
    return {"key": dotted(path), "value": value, "line": position(conversion.draft.file.places, path)[0]}


def _becomes(conversion: Conversion, path: KeyPath, written: Mapping[KeyPath, Any]) -> Iterator[dict[str, Any]]:
    for target in conversion.draft.targets(path):
        if target[0] != "nodes" or len(target) > 2:
            value = written.get(target, _effective(conversion, target))
            if isinstance(value, dict):
                value = {key: inner for key, inner in value.items() if inner is not None}
            yield {"key": dotted(target), "value": value, "written": target in written}


def _merged(conversion: Conversion, told: Sequence[Problem]) -> list[str]:
    """What is told, in the order of the file; the same of several nodes once."""
    places = conversion.draft.file.places
    alike: dict[tuple[Any, ...], list[Problem]] = {}
    for problem in sorted(told, key=lambda problem: position(places, problem.path)):
        of_node = problem.path[:1] == ("nodes",) and len(problem.path) > 1
        value = str(problem.value) if len(problem.path) > 3 else ""  # of one element among several
        key = ("nodes", *problem.path[2:3], value) if of_node else problem.path
        alike.setdefault((key, problem.expected), []).append(problem)
    lines = []
    for problems in alike.values():
        others = list(dict.fromkeys(str(one.path[1]) for one in problems if one.path[1:2] != problems[0].path[1:2]))
        many = f" (and of {'node' if len(others) == 1 else 'nodes'} {listed(others)})" if others else ""
        lines.append(f"{conversion.draft.where(problems[0].path)} {problems[0]}{many}")
    return list(dict.fromkeys(lines))


def _defaults(conversion: Conversion) -> Iterator[dict[str, Any]]:
    """What the file leaves open and was another value than ours by default."""
    draft = conversion.draft
    written = written_keys(conversion)
    told: set[KeyPath] = set()
    for silent in draft.silent:
        if silent.target in written and silent.target not in told:
            told.add(silent.target)
            now = _effective(conversion, silent.target)
            yield {"key": silent.key, "earlier": silent.earlier, "becomes": dotted(silent.target), "now": now}
    encoder: KeyPath = ("embedding", "encoder")
    if encoder not in draft.values:
        now = _effective(conversion, encoder)
        yield {"key": "feda2v.audio_model_name", "earlier": AST, "becomes": dotted(encoder), "now": now}


def _effective(conversion: Conversion, target: KeyPath) -> Any:
    """The value of a key of the profile, also where it follows another key."""
    if target == ("checkpoint", "dir"):
        directory = conversion.profile.generator_dir
        return None if directory is None else str(directory)
    if target == ("checkpoint", "base_name"):
        return conversion.profile.base_name
    if target[0] == "nodes":
        return conversion.profile.nodes[int(target[1])].model_dump(mode="json")[str(target[2])]
    return getattr(conversion.profile, str(target[0])).model_dump(mode="json")[str(target[1])]


def _needs(conversion: Conversion) -> Iterator[str]:
    profile = conversion.profile
    if not has_root(profile):
        yield (
            "the earlier system had the paths of its data in its code: give the directory of ESC-50 with --data-root "
            "DIR, or as data.root; without it the run takes the built-in sounds, and says so"
        )
    named = (profile.data.root, *(node.root for node in profile.nodes))
    roots = dict.fromkeys(root for root in named if root is not None)
    if roots:
        yield f"clips are looked for in {listed(roots)}, as their data sets come: change data.root and nodes.root"
    if profile.embedding.encoder == AST:
        yield f"the encoder needs the extra [hf] and the weights of {AST}, or embedding.encoder = their directory"
    if profile.images.every:
        yield f"pictures need the extra [images] and {profile.images.pipeline}, or images.pipeline = its directory"
    if profile.tracking.trackers:
        yield "W&B needs the extra [wandb]; without a key its runs are kept offline"
    if profile.checkpoint.load_adapters is not None:
        yield (
            f"{profile.checkpoint.load_adapters} has to hold adapters of feda2v federate: those of the earlier system "
            "cannot be loaded"
        )
    federates = conversion.draft.purpose is not Purpose.TRAIN
    if federates and profile.adapter.targets == "codes":
        yield (
            "the earlier system had its text embeddings in its code: without adapter.targets the adapters learn the "
            "built-in codes of the classes"
        )
