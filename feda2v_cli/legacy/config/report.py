"""What a conversion tells: where every key went, and what to do next."""

from collections.abc import Iterator, Mapping
from typing import Any

from feda2v_cli.legacy.config.convert import Conversion
from feda2v_cli.legacy.config.draft import Purpose
from feda2v_cli.legacy.config.table import TABLE
from feda2v_cli.legacy.config.write import commands, has_root, written_keys
from feda2v_cli.profile.key_path import KeyPath, dotted, position

#: Sections of a profile that one of the two runs does not read.
_OTHER_RUN = {
    Purpose.TRAIN: {"federation", "adapter", "synthetic"},
    Purpose.FEDERATE: {"generator", "checkpoint"},
    Purpose.BOTH: set[str](),
}


def report(conversion: Conversion, path: str) -> dict[str, Any]:
    """Where every key of a file went, as plain values.

    Args:
        conversion: what was converted.
        path: the file of the profile, for the commands.

    Returns:
        `source`, `purpose`, `commands`; `renamed`, `dropped` and `unknown`, lists with one object a key; `warnings`,
        lines that begin with their place; `defaults`, which the file left open and which were others before;
        `needs`, what has to be given to a run that no configuration of the earlier system could say.
    """
    draft = conversion.draft
    dropped = {drop.path for drop in draft.dropped}
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
            for drop in sorted(draft.dropped, key=lambda drop: position(draft.file.places, drop.path))
        ],
        "unknown": [
            {**_key(conversion, unknown.path, unknown.value), "meant": unknown.meant} for unknown in conversion.unknown
        ],
        "warnings": list(
            dict.fromkeys(
                f"{draft.where(warning.path)} {warning}"
                for warning in sorted(draft.warnings, key=lambda warning: position(draft.file.places, warning.path))
            )
        ),
        "defaults": list(_defaults(conversion)),
        "needs": list(_needs(conversion)),
    }


def _key(conversion: Conversion, path: KeyPath, value: Any) -> dict[str, Any]:
    return {"key": dotted(path), "value": value, "line": position(conversion.draft.file.places, path)[0]}


def _becomes(conversion: Conversion, path: KeyPath, written: Mapping[KeyPath, Any]) -> Iterator[dict[str, Any]]:
    for target in conversion.draft.targets(path):
        if target[0] != "nodes" or len(target) > 2:
            value = written.get(target, _effective(conversion, target))
            yield {"key": dotted(target), "value": value, "written": target in written}


def _defaults(conversion: Conversion) -> Iterator[dict[str, Any]]:
    present = {entry.key for entry in conversion.entries}
    for key in TABLE:
        if not key.legacy_default or key in present:
            continue
        for name in key.becomes:
            section, _, rest = name.partition(".")
            target: KeyPath = (section, rest)
            now = _effective(conversion, target)
            skipped = target in conversion.draft.values or section in _OTHER_RUN[conversion.draft.purpose]
            if not skipped and str(now) != key.legacy_default and now is not None:
                yield {"key": key.dotted, "earlier": key.legacy_default, "becomes": name, "now": now}


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
    if not has_root(conversion.profile):
        yield (
            "the earlier system had the paths of its data in its code: give the directory of ESC-50 with --data-root "
            "DIR, or as data.root; without it the run takes the built-in sounds, and says so"
        )
    if conversion.draft.purpose is not Purpose.TRAIN and conversion.profile.adapter.targets == "codes":
        yield (
            "the earlier system had its text embeddings in its code: without adapter.targets the adapters learn the "
            "built-in codes of the classes"
        )
