"""A key's place in a profile."""

#: Like ("nodes", 1, "classes"): the second node's classes.
KeyPath = tuple[str | int, ...]


def dotted(path: KeyPath) -> str:
    """A key path as people write it: `nodes.1.classes`."""
    return ".".join(str(part) for part in path)
