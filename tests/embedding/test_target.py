from pathlib import Path

import pytest
import torch

from feda2v_cli.embedding.target import Targets, make_targets
from feda2v_cli.errors import FailedError, MissingError, UsageError
from feda2v_cli.profile.schema import AdapterSection

CLASSES = ("cow", "dog", "sea_waves")


def section(**values: object) -> AdapterSection:
    return AdapterSection.model_validate(values)


def saved(directory: Path, content: object) -> str:
    path = directory / "esc50_text_embs_dict.pt"
    torch.save(content, path)
    return str(path)


def entry(seed: int) -> dict[str, object]:
    random = torch.Generator().manual_seed(seed)
    return {
        "sd": torch.randn(77, 768, generator=random),
        "flux": {
            "prompt_embeds": torch.randn(1, 17, 4096, generator=random),
            "pooled_prompt_embeds": torch.randn(1, 768, generator=random),
        },
    }


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ("small", {"clip": (64,), "t5": (4, 64)}),
        ("flux", {"clip": (768,), "t5": (17, 4096)}),
        ("sd", {"clip": (77, 768)}),
    ],
)
def test_codes_have_the_shapes_that_are_asked_for(shapes: str, expected: dict[str, tuple[int, ...]]) -> None:
    targets = make_targets(section(shapes=shapes, spaces=tuple(expected)), CLASSES)
    assert {space: tuple(values.shape[1:]) for space, values in targets.spaces.items()} == expected


def test_a_class_has_the_same_code_whatever_classes_are_beside_it() -> None:
    alone, among = make_targets(section(), ["dog"]), make_targets(section(), CLASSES)
    assert torch.equal(alone.spaces["clip"][0], among.spaces["clip"][1])


def test_codes_are_near_orthogonal() -> None:
    codes = make_targets(section(), [f"class_{index}" for index in range(50)]).spaces["clip"]
    cosines = torch.nn.functional.normalize(codes, dim=1) @ torch.nn.functional.normalize(codes, dim=1).T
    assert (cosines - torch.eye(50)).abs().max() < 0.6


def test_the_fingerprint_tells_targets_apart() -> None:
    first, again, other = (make_targets(section(), classes) for classes in (CLASSES, CLASSES, CLASSES[:2]))
    assert first.fingerprint == again.fingerprint != other.fingerprint


def test_sd_has_no_target_space_t5() -> None:
    with pytest.raises(UsageError, match='shapes = "sd" has no target space t5') as failure:
        make_targets(section(shapes="sd", spaces=("clip", "t5")), CLASSES)
    assert failure.value.hint == "--set 'adapter.spaces=[\"clip\"]'"


@pytest.fixture
def dictionary(tmp_path: Path) -> str:
    return saved(tmp_path, {"dog": entry(0), "sea waves": entry(1), "cow": entry(2)})


def from_file(path: str, **values: object) -> Targets:
    return make_targets(section(targets=path, **values), CLASSES)


def test_a_dictionary_of_the_earlier_system_gives_flux_targets(dictionary: str) -> None:
    targets = from_file(dictionary, shapes="flux")
    flux = entry(0)["flux"]
    assert torch.equal(targets.spaces["clip"][1], flux["pooled_prompt_embeds"][0])  # type: ignore[index]
    assert torch.equal(targets.spaces["t5"][1], flux["prompt_embeds"][0])  # type: ignore[index]


def test_a_dictionary_of_the_earlier_system_gives_sd_targets(dictionary: str) -> None:
    targets = from_file(dictionary, shapes="sd", spaces=("clip",))
    assert torch.equal(targets.spaces["clip"][2], entry(1)["sd"])  # type: ignore[arg-type]


def test_a_dictionary_goes_with_the_shapes_in_it(dictionary: str) -> None:
    with pytest.raises(UsageError, match='goes with shapes "flux" or "sd"'):
        from_file(dictionary)


def test_a_class_that_the_dictionary_lacks_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path, {"dog": entry(0), "cows": entry(1), "sea_waves": entry(2)})
    with pytest.raises(MissingError, match="has no text embedding of cow") as failure:
        from_file(path, shapes="flux")
    assert failure.value.details == ("did you mean cows for cow?",)


def test_a_dictionary_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no such file"):
        from_file(str(tmp_path / "none.pt"), shapes="flux")


@pytest.mark.parametrize("content", [[1, 2], {"dog": 1, "cow": 2, "sea_waves": 3}, {"dog": {}, "cow": {}}])
def test_a_file_of_another_form_is_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises((FailedError, MissingError)):
        from_file(saved(tmp_path, content), shapes="flux")


def test_a_target_of_another_shape_is_refused(tmp_path: Path) -> None:
    wrong = entry(0) | {"sd": torch.zeros(7, 768)}
    path = saved(tmp_path, dict.fromkeys(CLASSES, wrong))
    with pytest.raises(FailedError, match=r"cow, sd has shape \[7, 768\] — expected \[77, 768\]"):
        from_file(path, shapes="sd", spaces=("clip",))


def test_a_target_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    wrong = {"sd": torch.full((77, 768), float("nan"))}
    path = saved(tmp_path, dict.fromkeys(CLASSES, wrong))
    with pytest.raises(FailedError, match="holds NaN"):
        from_file(path, shapes="sd", spaces=("clip",))


class Payload:
    def __reduce__(self) -> tuple[object, ...]:
        return print, ("executed",)


def test_nothing_in_a_dictionary_is_executed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FailedError, match="cannot be read as a dictionary of tensors"):
        from_file(saved(tmp_path, {"dog": Payload()}), shapes="flux")
    assert capsys.readouterr().out == ""
