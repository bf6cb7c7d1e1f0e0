"""What only a machine with a GPU can show, in a few minutes: both runs give the same there twice, and what a CPU gives.

python -m pytest -m gpu tests/test_gpu.py; without pytest-xdist: -o addopts=--import-mode=importlib -p no:xdist
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from feda2v_cli.federation.strategy.registry import STRATEGIES
from feda2v_cli.job.federate.run import Federated, federate
from feda2v_cli.job.train_generators.run import train_generators
from feda2v_cli.profile.load import load_profile

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU")]

GRANULARITIES = ("unified", "per_class", "per_group")
#: Largest share of a generator's or an adapter's size by which rounding may move it: a GPU adds up in another order,
#: and Adam's steps do not shrink with a gradient, so that what is nearly zero goes either way. Training moves a VAE by
#: a tenth and more. Gradients that are off by 2e-7 of themselves move it by 0.01, and an adapter by 2e-6.
ROUNDING_OF_VAE = 2e-2
ROUNDING_OF_ADAPTER = 1e-3

Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`trained(granularity, device, turn)` is a directory of checkpoints of RUN 1; each is made once."""
    root = tmp_path_factory.mktemp("run1")
    made: dict[tuple[str, ...], Path] = {}

    def train(granularity: str, device: str, turn: str = "first", *settings: str) -> Path:
        key = (granularity, device, turn, *settings)
        if key not in made:
            directory = root / str(len(made))
            run(granularity, device, root, f"checkpoint.dir='{directory}'", *settings)
            made[key] = directory
        return made[key]

    return train


def run(granularity: str, device: str, root: Path, *settings: str) -> None:
    own = ("generator.rounds=2", "generator.epochs=5", "checkpoint.every=0", f"experiment.device={device}")
    train_generators(load_profile(granularity, settings=[*own, f"experiment.runs='{root / 'runs'}'", *settings]))


def tensors(directory: Path) -> Tensors:
    """Every tensor of every checkpoint of a directory."""
    return {
        f"{path.name} {part} {name}": value
        for path in sorted(directory.glob("*.pt"))
        for part, state in torch.load(path, weights_only=True).items()
        if part != "metadata"
        for name, value in state.items()
    }


def different(left: Tensors, right: Tensors) -> list[str]:
    assert left.keys() == right.keys() != set()
    return [name for name, value in left.items() if not torch.equal(value, right[name])]


def beyond_rounding(left: Tensors, right: Tensors, share: float) -> dict[str, float]:
    """Files whose tensors differ by more than a share of their size, and the share by which they do."""
    assert left.keys() == right.keys() != set()
    squares: dict[str, list[float]] = {}
    for name, value in left.items():
        sums = squares.setdefault(name.split()[0], [0.0, 0.0])
        sums[0] += float((value.double() - right[name].double()).square().sum())
        sums[1] += float(value.double().square().sum())
    shares = {name: (apart / size) ** 0.5 for name, (apart, size) in squares.items()}
    return {name: found for name, found in shares.items() if not found <= share}


def models(directory: Path) -> Tensors:
    """The parameters of VAEs: what a GPU trains. All else of a generator is made on the CPU."""
    trained_ones = ("encoder_", "decoder_", "log_scale")
    return {name: value for name, value in tensors(directory).items() if any(word in name for word in trained_ones)}


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_a_second_run_1_gives_the_same_tensors(trained: Callable[..., Path], granularity: str) -> None:
    first, second = (tensors(trained(granularity, "cuda", turn)) for turn in ("first", "second"))
    assert different(first, second) == []


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_run_1_trains_what_a_cpu_trains_within_rounding(trained: Callable[..., Path], granularity: str) -> None:
    on_gpu, on_cpu = (models(trained(granularity, device)) for device in ("cuda", "cpu"))
    assert beyond_rounding(on_cpu, on_gpu, ROUNDING_OF_VAE) == {}


def test_what_is_not_trained_is_the_same_on_any_device(trained: Callable[..., Path]) -> None:
    on_gpu, on_cpu = (tensors(trained("unified", device)) for device in ("cuda", "cpu"))
    fitted = [name for name in on_cpu if name.endswith(("means", "loadings", "axes", "scale", "mean"))]
    fitted = [name for name in fitted if "log_scale" not in name]
    assert different({name: on_cpu[name] for name in fitted}, {name: on_gpu[name] for name in fitted}) == []


def test_models_do_not_depend_on_what_a_gpu_trains_beside_them(trained: Callable[..., Path]) -> None:
    together = models(trained("per_class", "cuda"))
    narrow = models(trained("per_class", "cuda", "narrow", "experiment.memory=5MB"))
    assert beyond_rounding(together, narrow, ROUNDING_OF_VAE) == {}


@pytest.fixture(scope="module")
def federated(
    trained: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[Federated, Tensors]]:
    """`federated(strategy, device)` is a RUN 2 with samples, and the adapters that it has made."""
    root = tmp_path_factory.mktemp("run2")

    def run_2(strategy: str, device: str, turn: str) -> tuple[Federated, Tensors]:
        directory = root / f"{strategy}-{device}-{turn}"
        settings = [
            f"experiment.device={device}",
            f"experiment.runs='{root / 'runs'}'",
            f"checkpoint.dir='{trained('per_class', 'cpu')}'",
            f"checkpoint.adapter_dir='{directory}'",
            f"federation.strategy={strategy}",
            "federation.rounds=3",
            "federation.evaluate_every=1",
            'synthetic.use=["local", "server"]' if strategy != "kd" else 'synthetic.use=["local", "kd"]',
        ]
        return federate(load_profile("use_pretrained", settings=settings)), tensors(directory)

    return run_2


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_run_2_gives_the_same_tensors_twice_and_a_cpus_within_rounding(
    federated: Callable[..., tuple[Federated, Tensors]], strategy: str
) -> None:
    (first, adapters), (_, again) = (federated(strategy, "cuda", turn) for turn in ("first", "second"))
    assert different(adapters, again) == []
    on_cpu, of_cpu = federated(strategy, "cpu", "first")
    assert beyond_rounding(of_cpu, adapters, ROUNDING_OF_ADAPTER) == {}
    assert first.final["accuracy"] == pytest.approx(on_cpu.final["accuracy"], abs=0.03)
    assert losses(first) == pytest.approx(losses(on_cpu), rel=0.01)


def losses(result: Federated) -> Sequence[float]:
    return [loss for done in result.rounds for _, loss in sorted(done["loss"].items())]
