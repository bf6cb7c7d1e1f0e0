"""Which strategies there are.

A new one is a file of its own, a line here, and its name in the schema of profiles, which cannot look up here.
"""

from collections.abc import Callable, Mapping

from feda2v_cli.federation.strategy.alone import Alone
from feda2v_cli.federation.strategy.averaging import FedAdam, FedAvg, FedAvgM, FedProx, FedYogi, PerClassAverage
from feda2v_cli.federation.strategy.central import Central
from feda2v_cli.federation.strategy.distilling import Distilling
from feda2v_cli.federation.strategy.one_shot import OneShot
from feda2v_cli.federation.strategy.robust import Median, TrimmedMean
from feda2v_cli.federation.strategy.strategy import Strategy
from feda2v_cli.profile.schema import FederationSection

STRATEGIES: Mapping[str, Callable[[FederationSection], Strategy]] = {
    "fedavg": FedAvg,
    "fedprox": FedProx,
    "fedavgm": FedAvgM,
    "fedadam": FedAdam,
    "fedyogi": FedYogi,
    "median": Median,
    "trimmed_mean": TrimmedMean,
    "per_class_average": PerClassAverage,
    "kd": Distilling,
    "one_shot": OneShot,
    "none": Alone,
    "central": Central,
}


def make_strategy(section: FederationSection) -> Strategy:
    """The strategy that a profile names, before its first round."""
    return STRATEGIES[section.strategy](section)
