"""The profiles that come with the package."""

from pathlib import Path

from feda2v_cli.errors import UsageError, closest

#: In a wheel they lie inside the package, in a checkout at the top of the repository.
_PACKAGE = Path(__file__).parents[1]
SHIPPED_DIR = next(path for path in (_PACKAGE / "profiles", _PACKAGE.parent / "profiles") if path.is_dir())


def shipped_profiles() -> dict[str, Path]:
    """Name and path of every shipped profile, by name."""
    return {path.stem: path for path in sorted(SHIPPED_DIR.glob("*.toml"))}


def find_profile(name_or_path: str) -> Path:
    """The file that a name or a path means; a path wins.

    Raises:
        UsageError: there is no such profile.
    """
    path = Path(name_or_path)
    if path.exists() and not path.is_dir():
        return path
    shipped = shipped_profiles()
    if name_or_path in shipped:
        return shipped[name_or_path]
    near = closest(name_or_path, shipped)
    raise UsageError(
        f"no profile {name_or_path}: neither a file nor a shipped profile",
        [f"shipped: {', '.join(shipped)}"] + ([f"did you mean {near}?"] if near else []),
        hint="feda2v profiles ls",
    )


def summary(path: Path) -> str:
    """The first comment line of a profile: what it does."""
    return path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
