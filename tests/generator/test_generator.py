import pytest
import torch
from generator_samples import SHAPE, SMALL, data, fitted

from feda2v_cli.errors import UsageError
from feda2v_cli.generator.gaussian import GaussianFitting
from feda2v_cli.generator.generator import Generator
from feda2v_cli.generator.rebuild import count_parameters, rebuild, state_shapes

CLASSES = ("dog", "sea_waves")


@pytest.fixture(params=["vae", "gaussian", "dense"])
def generator(request: pytest.FixtureRequest) -> Generator:
    if request.param == "gaussian":
        return GaussianFitting([data(classes=CLASSES)], SMALL).generator(0)
    projection = "none" if request.param == "dense" else "pca"
    section = SMALL.model_copy(update={"projection": projection})
    return fitted(data(classes=CLASSES, projection=projection), section=section).generator(0)


def test_samples_are_embeddings_of_the_labels_asked_for(generator: Generator) -> None:
    samples = generator.sample(["dog"] * 3 + ["sea_waves"] * 2)
    assert samples.shape == (5, *SHAPE)
    assert samples.dtype == torch.float32
    assert torch.isfinite(samples).all()


def test_samples_lie_where_the_clips_do(generator: Generator) -> None:
    mean = generator.sample(["dog"] * 400).mean()
    assert mean == pytest.approx(-5, abs=1.0)


def test_the_same_seed_gives_the_same_samples(generator: Generator) -> None:
    assert torch.equal(generator.sample(CLASSES, seed=4), generator.sample(CLASSES, seed=4))
    assert not torch.equal(generator.sample(CLASSES, seed=4), generator.sample(CLASSES, seed=5))


def test_a_class_that_it_cannot_make_is_refused_with_the_closest_one(generator: Generator) -> None:
    with pytest.raises(UsageError) as error:
        generator.sample(["sea_wave"])
    assert str(error.value) == (
        "the generator cannot make sea_wave\n  it makes dog, sea_waves\n  did you mean sea_waves?"
    )


def test_it_is_rebuilt_from_its_architecture_and_tensors_alone(generator: Generator) -> None:
    again = rebuild(generator.architecture(), generator.classes, generator.state())
    assert torch.equal(again.sample(CLASSES, seed=1), generator.sample(CLASSES, seed=1))


def test_its_architecture_tells_the_shape_of_every_tensor(generator: Generator) -> None:
    found = {name: (tuple(value.shape), value.dtype) for name, value in generator.state().items()}
    assert state_shapes(generator.architecture()) == found
    assert count_parameters(generator.architecture()) == generator.parameters


def test_tensors_that_do_not_fit_the_architecture_are_refused(generator: Generator) -> None:
    state = generator.state()
    state["projection.mean"] = state["projection.mean"][1:]
    with pytest.raises(ValueError, match=r"do not fit the architecture: projection\.mean"):
        rebuild(generator.architecture(), generator.classes, state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rank": -1}, "rank is -1"),
        ({"rank": 2**40}, "rank is"),
        ({"tokens": "4"}, "tokens is '4'"),
        ({"type": "gan"}, "generator type 'gan'"),
        ({"projection": "ica"}, "projection 'ica'"),
    ],
)
def test_a_forged_architecture_is_refused(change: dict[str, object], message: str) -> None:
    architecture = fitted(data()).generator(0).architecture() | change
    with pytest.raises(ValueError, match=message):
        state_shapes(architecture)
