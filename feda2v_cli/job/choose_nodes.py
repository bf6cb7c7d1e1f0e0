"""The nodes of a profile that take part in a run."""

from collections.abc import Sequence

from feda2v_cli.errors import UsageError
from feda2v_cli.profile.schema import Profile


def choose_nodes(profile: Profile, node_ids: Sequence[int] | None) -> Profile:
    """The profile with those nodes alone; None keeps all.

    Raises:
        UsageError: the profile has no such node.
    """
    if node_ids is None:
        return profile
    known = [node.id for node in profile.nodes]
    for node in node_ids:
        if node not in known:
            raise UsageError(
                f"--nodes {node} — the profile has no such node",
                [f"it has {', '.join(map(str, known))}"],
                hint=f"--nodes {','.join(map(str, known))}",
            )
    return profile.with_nodes(tuple(node_ids))
