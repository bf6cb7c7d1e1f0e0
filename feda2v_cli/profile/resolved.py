"""A loaded profile as TOML again: every effective value, with its origin beside it."""

import hashlib
import json
from typing import Any

import tomlkit
from tomlkit.items import Table

from feda2v_cli.profile.load import LoadedProfile
from feda2v_cli.profile.schema import Profile

#: Keys that change where a run is recorded or how fast it is, and not what comes out.
_NO_PART_OF_THE_RESULT = {"experiment": {"name", "memory", "runs"}, "embedding": {"cache"}}


def profile_hash(profile: Profile) -> str:
    """A hash of all values of a profile on which its results depend."""
    values = profile.model_dump(mode="json", exclude=_NO_PART_OF_THE_RESULT)
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def resolved_toml(loaded: LoadedProfile) -> str:
    """Every effective value of a profile; a comment on each says where it came from.

    The text is a valid profile itself. A key without value (like an unset `data.root`) stands as a comment.
    """
    document = tomlkit.document()
    values = loaded.profile.model_dump(mode="json")
    nodes = values.pop("nodes")
    for section, keys in values.items():
        document[section] = _table(section, keys, loaded)
    array = tomlkit.aot()
    for index, node in enumerate(nodes):
        present = {key: value for key, value in node.items() if value is not None}
        array.append(_table(f"nodes.{index}", present, loaded))
    document["nodes"] = array
    return tomlkit.dumps(document)


def _table(place: str, keys: dict[str, Any], loaded: LoadedProfile) -> Table:
    table = tomlkit.table()
    for key, value in keys.items():
        origin = loaded.origin(f"{place}.{key}")
        if value is None:
            table.add(tomlkit.comment(f"{key} is not set"))
        elif isinstance(value, dict):
            table[key] = _table(f"{place}.{key}", value, loaded)
        else:
            table.add(key, tomlkit.item(value).comment(origin))
    return table
