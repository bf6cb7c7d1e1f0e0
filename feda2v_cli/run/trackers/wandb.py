"""Weights & Biases: online with a key, and files in the run directory without one, which `wandb sync` sends."""

import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from feda2v_cli.errors import MissingError
from feda2v_cli.profile.schema import TrackingSection

PACKAGE = "wandb"
#: A service that does not answer in that time is done without.
_INIT_SECONDS = 30


def check(section: TrackingSection) -> None:
    """Refuse to go online without a key, before the service asks for one in the middle of a run.

    Raises:
        MissingError: there is none.
    """
    if section.mode == "online" and not _has_key():
        raise MissingError(
            "tracking.mode = online — there is no key of Weights & Biases",
            ["looked for WANDB_API_KEY, and in the file that wandb login writes"],
            hint="wandb login, or --set tracking.mode=offline",
        )


class WandB:
    """A run of Weights & Biases. It gets curves and the profile, but no output, code, or load of the machine.

    Args:
        section: project, entity and mode.
        directory: of the run.
        name: of the run.
        config: all values of the profile.
    """

    def __init__(self, section: TrackingSection, directory: Path, name: str, config: Mapping[str, Any]) -> None:
        import wandb

        self._directory = directory
        self._online = mode_of(section) == "online"
        settings = wandb.Settings(
            silent=True,
            console="off",
            disable_git=True,
            disable_code=True,
            x_disable_stats=True,
            init_timeout=_INIT_SECONDS,
        )
        wandb.setup(settings=settings)  # which tells of keys before a run begins
        self._run: Any = wandb.init(
            dir=str(directory),
            project=section.project,
            entity=section.entity,
            name=name,
            config=dict(config),
            mode=mode_of(section),  # type: ignore[arg-type] # checked by the schema, or by wandb
            settings=settings,
            reinit="create_new",
        )
        self._run.define_metric("round")
        self._run.define_metric("*", step_metric="round")

    @property
    def description(self) -> str:
        """Where it is to be seen."""
        if self._online:
            return f"curves: {self._run.url}"
        return f"curves are kept for Weights & Biases: wandb sync {self._directory}/wandb/offline-run-*"

    def log(self, round_number: int, curves: Mapping[str, float]) -> None:
        """Draw points."""
        self._run.log({"round": round_number, **curves})

    def finish(self, *, well: bool) -> None:
        """Send what is not sent yet."""
        self._run.finish(exit_code=0 if well else 1)


def mode_of(section: TrackingSection) -> str:
    """Online or offline; what the variable WANDB_MODE says counts where the profile says auto."""
    if section.mode != "auto":
        return section.mode
    return os.environ.get("WANDB_MODE") or ("online" if _has_key() else "offline")


def _has_key() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        known = netrc.netrc(os.environ.get("NETRC"))
    except (OSError, netrc.NetrcParseError):
        return False
    return any(known.authenticators(host) is not None for host in _hosts())


def _hosts() -> set[str]:
    """Servers whose key would do: the one that is set, or those that the package has used by itself."""
    if "WANDB_BASE_URL" in os.environ:
        addresses = {os.environ["WANDB_BASE_URL"]}
    else:
        import wandb

        addresses = {"https://api.wandb.ai", str(wandb.Settings().base_url)}
    return {urlparse(address).hostname or "" for address in addresses}
