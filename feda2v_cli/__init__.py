"""Federated learning between audio and images: generators of audio embeddings, checkpoints, federation.

What the commands do, as functions. Each is imported when it is first used, so that importing the package is quick.

>>> import feda2v_cli
>>> "train_generators" in dir(feda2v_cli)
True
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from feda2v_cli.job.compare.run import compare as compare
    from feda2v_cli.job.evaluate.run import evaluate as evaluate
    from feda2v_cli.job.federate.plan import plan_federation as plan_federation
    from feda2v_cli.job.federate.run import federate as federate
    from feda2v_cli.job.train_generators.plan import plan_generators as plan_generators
    from feda2v_cli.job.train_generators.run import train_generators as train_generators
    from feda2v_cli.profile.load import load_profile as load_profile
    from feda2v_cli.report.make import make_report as make_report
    from feda2v_cli.verifier.catalogue import catalogue as catalogue
    from feda2v_cli.verifier.loading import load_generators as load_generators
    from feda2v_cli.verifier.single import load_generator as load_generator
    from feda2v_cli.verifier.verify import verify as verify

__version__ = "0.1.0"

_HOMES = {
    "catalogue": "verifier.catalogue",
    "federate": "job.federate.run",
    "compare": "job.compare.run",
    "evaluate": "job.evaluate.run",
    "load_generator": "verifier.single",
    "load_generators": "verifier.loading",
    "load_profile": "profile.load",
    "make_report": "report.make",
    "plan_federation": "job.federate.plan",
    "plan_generators": "job.train_generators.plan",
    "train_generators": "job.train_generators.run",
    "verify": "verifier.verify",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
