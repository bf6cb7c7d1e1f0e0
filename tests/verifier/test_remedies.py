"""Commands that mend findings are pasted: they change what they name and nothing else, and mend what they are for."""

import itertools
import shlex
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from checkpoint_samples import adapter_metadata_of, write_adapters
from checkpoint_scenarios import SCENARIOS, flip_bit, middle_of, swap
from typer.testing import CliRunner

from feda2v_cli.checkpoint.file import load_content, write_checkpoint
from feda2v_cli.checkpoint.metadata import GeneratorMetadata
from feda2v_cli.checkpoint.name import parse_name
from feda2v_cli.cli.main import app
from feda2v_cli.verifier.single import read_metadata
from feda2v_cli.verifier.verify import verify

DIRECTORY = Path("here")
CLASSES = ("dog", "cow", "pig")
PROFILE = """
[data]
root = "mine"
[generator]
granularity = "per_class"
rounds = 2
epochs = 1
[checkpoint]
every = 1
[embedding]
seconds = 0.5
[[nodes]]
id = 0
classes = ["dog", "cow", "pig"]
[[nodes]]
id = 1
classes = ["dog", "cow"]
"""


def contents() -> dict[Path, bytes]:
    """All checkpoints under the working directory."""
    return {path: path.read_bytes() for path in Path().rglob("*") if path.is_file() and path.suffix in (".pt", ".tmp")}


def paste(hint: str) -> set[Path]:
    """Run a hint as a shell would.

    Returns:
        The files that it names: as paths, or as generators of nodes and keys.
    """
    named: set[Path] = set()
    for command in hint.strip("()").split(" && "):
        words = shlex.split(command, comments=True)
        if words[0] in ("mv", "rm", "mkdir"):
            named |= {Path(word) for word in words[1:] if not word.startswith("-")}
            subprocess.run(words, check=True)
        elif words[:2] == ["feda2v", "train-generators"]:
            named |= generators_of(words)
            CliRunner().invoke(app, words[1:])
        elif words[0] == "feda2v":
            CliRunner().invoke(app, words[1:])
    return named


def generators_of(words: list[str]) -> set[Path]:
    """The files that are there of the generators that a command names."""
    options = dict(itertools.pairwise(words))
    if "--force" not in words:
        return set()
    nodes, keys = options["--nodes"].split(","), options.get("--keys")
    named = set()
    for path in Path(options["--checkpoint-dir"]).glob("*.pt"):
        name = parse_name(path.name)
        if name is None or name.base_name != options["--base-name"] or str(name.node) not in nodes:
            continue
        is_asked_for = keys is None or name.key in keys.split(",")
        # A command that writes no checkpoints of rounds does not name them.
        if is_asked_for and not (name.round is not None and "checkpoint.every=0" in words):
            named.add(path)
    return named


@pytest.fixture(autouse=True)
def quick_training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Train no longer than needed, in an empty directory."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


@pytest.mark.parametrize("code", SCENARIOS)
def test_no_remedy_changes_a_file_that_it_does_not_name(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDA2V_GENERATOR_ROUNDS", "1")
    monkeypatch.setenv("FEDA2V_GENERATOR_EPOCHS", "1")
    words = SCENARIOS[code]()
    profile = words[words.index("--profile") + 1] if "--profile" in words else None
    (Path("other") / "set").mkdir(parents=True)
    shutil.copytree("checkpoints", "other/set/checkpoints")
    before = contents()
    hints = {finding.hint for finding in findings_of(words, profile)}
    assert None not in hints
    named = set().union(*(paste(hint) for hint in hints if hint is not None))
    after = contents()
    assert {path for path, content in before.items() if after.get(path) != content} <= named


def found(paths: list[Path], *, deep: bool = False) -> tuple:
    """What is wrong with checkpoints, but that so few clips can be told, which is no damage."""
    return tuple(finding for finding in verify(paths, deep=deep).findings if finding.code != "FA022")


def findings_of(words: list[str], profile: str | None) -> list:
    from feda2v_cli.profile.load import load_profile
    from feda2v_cli.verifier.expectation import Expectation

    if profile is not None:
        expectation = Expectation.from_profile(load_profile(profile), profile)
    else:
        expectation = Expectation(granularity="per_class" if "--granularity" in words else None)
    paths = [Path(word) for word in words[:1] if not word.startswith("-")]
    return list(verify(paths, expectation, deep=True).findings)


@pytest.fixture(scope="module")
def trained_on_own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five generators that a run has trained on recordings of one's own, with their run's directory."""
    work = tmp_path_factory.mktemp("own")
    random = np.random.default_rng(1)
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    (work / "mine/audio").mkdir(parents=True)
    (work / "mine/meta").mkdir()
    for target, name in enumerate(CLASSES):
        for fold in range(1, 6):
            for take in "AB":
                file = f"{fold}-{target}-{take}-{target}.wav"
                tone = np.sin(np.arange(8000) * 0.05 * (target + 1)) * 0.3 + 0.05 * random.standard_normal(8000)
                soundfile.write(work / "mine/audio" / file, tone, 16000)
                rows.append(f"{file},{fold},{target},{name},False,1,{take}")
    (work / "mine/meta/esc50.csv").write_text("\n".join(rows) + "\n")
    (work / "own.toml").write_text(PROFILE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(work)
        result = CliRunner().invoke(
            app, ["train-generators", "-p", "own.toml", "--checkpoint-dir", str(DIRECTORY), "--base-name", "mine"]
        )
    assert result.exit_code == 0, result.output
    return work


@pytest.fixture
def own(trained_on_own: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory in which they were trained; what a test does to the checkpoints is undone."""
    monkeypatch.chdir(trained_on_own)
    kept = trained_on_own / ".kept"
    directory = trained_on_own / DIRECTORY
    shutil.copytree(directory, kept)
    yield trained_on_own
    shutil.rmtree(directory)
    kept.rename(directory)


DOG = DIRECTORY / "mine_node0_class_dog.pt"
COW = DIRECTORY / "mine_node0_class_cow.pt"
OTHER_DOG = DIRECTORY / "mine_node1_class_dog.pt"


def saved_again() -> None:
    torch.save(torch.load(DOG, weights_only=True), DOG)


def changed(tensor: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[], None]:
    def change() -> None:
        content, state = load_content(DOG, GeneratorMetadata)
        write_checkpoint(DOG, content.metadata, state | {"projection.mean": tensor(state["projection.mean"])})

    return change


def same_weights() -> None:
    metadata, state = load_content(OTHER_DOG, GeneratorMetadata)[0].metadata, load_content(DOG, GeneratorMetadata)[1]
    write_checkpoint(OTHER_DOG, metadata, state)


def of_another_run(**changes: object) -> Callable[[], None]:
    def change() -> None:
        content, state = load_content(DOG, GeneratorMetadata)
        write_checkpoint(DOG, replace(content.metadata, **changes), state)  # type: ignore[arg-type]

    return change


DAMAGE: dict[str, tuple[str, Callable[[], object]]] = {
    "a missing file": ("FA015", DOG.unlink),
    "a generator of which nothing is left": (
        "FA005",
        lambda: [path.unlink() for path in DIRECTORY.glob("mine_node0_class_dog*.pt")],
    ),
    "another encoder": ("FA007", of_another_run(encoder={"name": "another"})),
    "a tensor of another shape": ("FA008", changed(lambda tensor: tensor[:-1].clone())),
    "a flipped bit": ("FA009", lambda: flip_bit(DOG, middle_of(DOG, "data/0"))),
    "an emptied file": ("FA009", lambda: DOG.write_bytes(b"")),
    "a file that was saved again": ("FA009", saved_again),
    "the answer of a server": ("FA009", lambda: DOG.write_bytes(b"<!DOCTYPE html><html>404</html>")),
    "a round that nobody needs": (
        "FA009",
        lambda: flip_bit(DIRECTORY / "mine_node0_class_dog_round_1.pt", 1000),
    ),
    "NaN": ("FA011", changed(lambda tensor: tensor * float("nan"))),
    "two files swapped": ("FA012", lambda: swap(DOG, OTHER_DOG)),
    "a renamed file": ("FA012", lambda: DOG.rename(DIRECTORY / "mine_node7_class_dog.pt")),
    "a copy over another": ("FA012", lambda: shutil.copy(OTHER_DOG, DOG)),
    "the same weights": ("FA013", same_weights),
    "another type": ("FA014", of_another_run(generator_type="gaussian")),
    "a final one that is behind": ("FA015", of_another_run(round=1)),
    "another data set": ("FA016", of_another_run(dataset_name="builtin", node_fingerprint="00")),
    "other clips of the same layout": ("FA016", of_another_run(node_fingerprint="00")),
    "a leftover": ("FA018", lambda: (DIRECTORY / ".mine_node0_class_dog.pt.0a1b2c3d.tmp").write_bytes(b"")),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.usefixtures("own")
def test_what_was_trained_on_recordings_is_mended_on_them_and_nothing_else_is_touched(damage: str) -> None:
    code, harm = DAMAGE[damage]
    harm()
    before = contents()
    findings = found([DIRECTORY], deep=True)
    assert code in {finding.code for finding in findings}
    named = set().union(*(paste(hint) for hint in dict.fromkeys(finding.hint for finding in findings) if hint))
    after = contents()
    touched = {path for path in before if before[path] != after.get(path)}
    assert touched <= named
    assert len(touched) <= 3
    assert found([DIRECTORY], deep=True) == ()
    assert {read_metadata(path).dataset_name for path in DIRECTORY.glob("*.pt")} == {"esc50"}


def test_one_of_a_node_s_generators_is_trained_alone(own: Path) -> None:
    flip_bit(DOG, middle_of(DOG, "data/0"))
    (finding,) = found([DIRECTORY])
    run = read_metadata(COW).run_directory
    assert run is not None
    assert Path(run).parent == own / "runs"
    assert finding.hint == (
        f"feda2v train-generators --profile runs/{Path(run).name}/resolved.toml --checkpoint-dir here --base-name mine "
        "--nodes 0 --keys dog --set checkpoint.every=0 --force"
    )


def test_a_remedy_that_is_pasted_elsewhere_goes_where_the_run_was(
    own: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    flip_bit(DOG, middle_of(DOG, "data/0"))
    monkeypatch.chdir(tmp_path)
    (finding,) = found([own / DIRECTORY])
    assert finding.hint is not None
    assert finding.hint.startswith(f"(cd {own} && feda2v train-generators --profile {own}/runs/")
    assert finding.hint.endswith(")")


def test_where_the_run_is_gone_the_remedy_says_that_it_cannot_know(own: Path) -> None:
    (own / "runs").rename(own / "elsewhere")
    try:
        flip_bit(DOG, middle_of(DOG, "data/0"))
        before = contents()
        (finding,) = found([DIRECTORY])
        assert finding.hint is not None
        assert "--profile PROFILE" in finding.hint
        assert finding.hint.endswith("# PROFILE: the one that trained it; the files do not tell")
        paste(finding.hint)
        assert contents() == before
    finally:
        (own / "elsewhere").rename(own / "runs")


def test_a_broken_adapter_is_made_anew_beside_the_others(tmp_path: Path) -> None:
    path = write_adapters(tmp_path / "adapters")
    for harm in (lambda: flip_bit(path, -1), lambda: path.write_bytes(b"")):
        harm()
        before = contents()
        (finding,) = found([tmp_path])
        assert finding.hint is not None
        assert f"--checkpoint-dir {tmp_path}/adapters_again" in finding.hint
        assert "--force" not in finding.hint
        paste(finding.hint)
        assert contents() == before
    assert adapter_metadata_of(0).filename == path.name


def test_a_rename_never_overwrites_a_file_that_was_not_looked_at(own: Path) -> None:
    before = OTHER_DOG.read_bytes()
    aside = own / DIRECTORY / "mine_node9_class_dog.pt"
    shutil.copy(DOG, aside)
    (finding,) = found([aside])
    assert finding.code == "FA012"
    assert finding.hint is not None
    paste(finding.hint)
    assert OTHER_DOG.read_bytes() == before


def test_a_pointer_of_git_lfs_is_fetched(tmp_path: Path) -> None:
    path = tmp_path / "vae_unified_node0.pt"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n")
    (finding,) = found([path])
    assert (finding.code, finding.hint) == ("FA009", f"git lfs pull --include {path}")
    assert "is a pointer of git-lfs" in finding.message


def test_checkpoints_of_rounds_are_spoken_of_only_where_there_are_any(own: Path) -> None:
    for path in DIRECTORY.glob("*_round_*.pt"):
        path.unlink()
    flip_bit(DOG, middle_of(DOG, "data/0"))
    (finding,) = found([own / DIRECTORY])
    assert finding.hint is not None
    assert "checkpoint.every" not in finding.hint


def test_what_is_missing_is_trained_as_the_others_were(own: Path) -> None:
    work = Path("gaussians")
    train = ["train-generators", "-p", "own.toml", "--checkpoint-dir", str(work), "--base-name", "mine"]
    assert CliRunner().invoke(app, [*train, "-s", "generator.type=gaussian", "--nodes", "0"]).exit_code == 0
    where = f'[checkpoint]\ndir = "{work}"\nbase_name = "mine"\n'
    (own / "two.toml").write_text(PROFILE.replace("[checkpoint]\n", where))
    errors = {finding.code: finding.hint or "" for finding in findings_of([], "two.toml") if finding.is_error}
    assert errors.keys() == {"FA014", "FA004"}
    assert errors["FA014"].endswith("--profile two.toml --generators gaussians --set generator.type=gaussian")
    paste(errors["FA004"])
    assert {read_metadata(path).generator_type for path in work.glob("*node1*")} == {"gaussian"}
    for path in work.glob("mine_node1_class_dog*"):
        path.unlink()
    (hint,) = {finding.hint for finding in findings_of([], "two.toml") if finding.code == "FA005"}
    paste(hint or "")
    assert {finding.code for finding in findings_of([], "two.toml") if finding.is_error} == {"FA014"}
