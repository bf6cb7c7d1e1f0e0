from pathlib import Path

import pytest

from feda2v_cli.errors import ProfileError, UsageError
from feda2v_cli.profile.load import LoadedProfile, load_profile, resolved_toml, shipped_profiles

NODES = '[[nodes]]\nid = 0\nclasses = ["dog"]\n'


def load(path: Path, text: str, **layers: object) -> LoadedProfile:
    path.write_text(text, encoding="utf-8")
    return load_profile(str(path), **({"environment": {}} | layers))  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mine.toml"


@pytest.mark.parametrize("name", sorted(shipped_profiles()))
def test_every_shipped_profile_loads_by_its_name(name: str) -> None:
    loaded = load_profile(name, environment={})

    assert loaded.name == loaded.profile.experiment.name == name


def test_there_are_four_shipped_profiles() -> None:
    assert set(shipped_profiles()) == {"unified", "per_class", "per_group", "use_pretrained"}


def test_a_file_beats_a_shipped_profile_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("unified").write_text(NODES)

    assert load_profile("unified", environment={}).profile.classes == ("dog",)


def test_a_directory_does_not_hide_a_shipped_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("unified").mkdir()

    assert load_profile("unified", environment={}).profile.experiment.name == "unified"


def test_what_is_not_in_the_file_is_a_default(path: Path) -> None:
    loaded = load(path, NODES)

    assert loaded.profile.generator.epochs == 20
    assert loaded.origin("generator.epochs") == "default"


def test_the_file_beats_defaults(path: Path) -> None:
    loaded = load(path, "[generator]\nepochs = 3\n" + NODES)

    assert loaded.profile.generator.epochs == 3
    assert loaded.origin("generator.epochs") == f"{path}:2"


def test_the_environment_beats_the_file(path: Path) -> None:
    loaded = load(path, "[generator]\nepochs = 3\n" + NODES, environment={"FEDA2V_GENERATOR_EPOCHS": "4"})

    assert loaded.profile.generator.epochs == 4
    assert loaded.origin("generator.epochs") == "environment FEDA2V_GENERATOR_EPOCHS"


def test_a_setting_beats_the_environment(path: Path) -> None:
    loaded = load(path, NODES, environment={"FEDA2V_GENERATOR_EPOCHS": "4"}, settings=["generator.epochs=5"])

    assert loaded.profile.generator.epochs == 5
    assert loaded.origin("generator.epochs") == "--set generator.epochs"


def test_a_flag_beats_a_setting(path: Path) -> None:
    flags = {"--epochs": ("generator.epochs", 6)}
    loaded = load(path, NODES, settings=["generator.epochs=5"], flags=flags)

    assert loaded.profile.generator.epochs == 6
    assert loaded.origin("generator.epochs") == "--epochs"


def test_the_environment_of_the_process_is_read_when_none_is_given(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDA2V_EXPERIMENT_SEED", "9")

    assert load(path, NODES, environment=None).profile.experiment.seed == 9


def test_other_environment_variables_are_not_read(path: Path) -> None:
    assert load(path, NODES, environment={"GENERATOR_EPOCHS": "4"}).origins == {
        "nodes.0.id": f"{path}:2",
        "nodes.0.classes": f"{path}:3",
    }


def test_a_setting_reaches_a_key_of_a_node(path: Path) -> None:
    loaded = load(path, NODES, settings=["nodes.0.classes=['cat']"])

    assert loaded.profile.nodes[0].classes == ("cat",)


def test_a_setting_that_is_no_toml_value_is_text(path: Path) -> None:
    loaded = load(path, NODES, settings=["embedding.encoder=MIT/ast"])

    assert loaded.profile.embedding.encoder == "MIT/ast"


def test_a_table_that_is_set_is_the_origin_of_all_its_keys(path: Path) -> None:
    text = '[generator.groups]\na = ["dog"]\n' + NODES
    loaded = load(path, text, settings=["generator.groups={b = ['dog']}"])

    assert loaded.profile.generator.groups == {"b": ("dog",)}
    assert loaded.origin("generator.groups.b") == "--set generator.groups"


def test_the_origin_of_a_shipped_profile_is_its_name() -> None:
    assert load_profile("unified", environment={}).origin("generator.rounds").startswith("unified:")


def test_a_byte_order_mark_is_skipped(path: Path) -> None:
    assert load(path, "\ufeff" + NODES).profile.classes == ("dog",)


def test_a_profile_of_a_thousand_nodes_loads_within_seconds(path: Path) -> None:
    text = "".join(f'[[nodes]]\nid = {node}\nclasses = ["c{node}"]\n' for node in range(1000))

    assert load(path, text).origin("nodes.999.id") == f"{path}:2999"


def refusal(path: Path, text: str, **layers: object) -> str:
    with pytest.raises(ProfileError) as caught:
        load(path, text, **layers)
    return str(caught.value).replace(str(path), "mine.toml")


def test_all_problems_are_reported_at_once_in_the_order_of_the_file(path: Path) -> None:
    text = """\
[generator]
epochs = 3.5
rounds = "3"
epoch = 1
granularity = "per-class"
learning_rate = nan

[generator.groups]
"Big G" = ["Dog", "x"]

[data]
root = 3
train_folds = [1,
  2, "3", 0]
skip_unreadable = "true"

[synthetic]
per_class = "many"
use = ["locl"]

[experiment]
memory = "2 gb"
name = "my run!"

[adapter]
spaces = []
targets = 3
batch_size = 0

[[nodes]]
id = 0
classes = ["Sea Waves", "cat"]

[[nodes]]
classes = []
train_classes = "dog"

[embedding]
sample_rate = 3

[federation]
trim = 0.5
fraction = 0
dropout = 2

[nothing]
"""
    class_name = "a name of lower case letters, digits and single underscores (at most 64)"
    big = f'the name "Big G" is not valid, expected {class_name}; did you mean "big_g"?'
    granularities = "one of unified, per_class, per_group, auto"
    base_name = "a name of letters, digits, underscores and hyphens (at most 64)"
    sections = "experiment, data, embedding, generator, checkpoint, synthetic, adapter, federation, flower, images"
    sections += ", tracking, nodes"

    assert refusal(path, text).splitlines() == [
        "profile mine.toml has 27 problems",
        "  mine.toml:2:1 generator.epochs = 3.5 — expected a whole number from 1 to 1000000",
        '  mine.toml:3:1 generator.rounds = "3" — expected a whole number from 1 to 1000000; did you mean 3?',
        "  mine.toml:4:1 generator.epoch = 1 — unknown key; did you mean generator.epochs?",
        f'  mine.toml:5:1 generator.granularity = "per-class" — expected {granularities}; did you mean "per_class"?',
        "  mine.toml:6:1 generator.learning_rate = NaN — expected a number above 0 and of at most 1e+30",
        f"  mine.toml:9:1 generator.groups.Big G — {big}",
        f'  mine.toml:9:12 generator.groups.Big G.0 = "Dog" — expected {class_name}; did you mean "dog"?',
        "  mine.toml:12:1 data.root = 3 — expected a path in quotes",
        '  mine.toml:14:6 data.train_folds.2 = "3" — expected a whole number from 1 to 2147483647; did you mean 3?',
        "  mine.toml:14:11 data.train_folds.3 = 0 — expected a whole number from 1 to 2147483647",
        '  mine.toml:15:1 data.skip_unreadable = "true" — expected true or false; did you mean true?',
        '  mine.toml:18:1 synthetic.per_class = "many" — expected a whole number from 0 to 1000000 or "auto"',
        '  mine.toml:19:8 synthetic.use.0 = "locl" — expected one of local, server, kd; did you mean "local"?',
        '  mine.toml:22:1 experiment.memory = "2 gb" — expected auto, or a size like "2GB"',
        f'  mine.toml:23:1 experiment.name = "my run!" — expected {base_name}; did you mean "my_run"?',
        "  mine.toml:26:1 adapter.spaces = [] — expected a list with at least one item, each one of clip, t5, text",
        "  mine.toml:27:1 adapter.targets = 3 — expected text in quotes",
        "  mine.toml:28:1 adapter.batch_size = 0 — expected a whole number from 1 to 1000000",
        f'  mine.toml:32:12 nodes.0.classes.0 = "Sea Waves" — expected {class_name}; did you mean "sea_waves"?',
        "  mine.toml:34:1 nodes.1 — id is missing, expected a whole number from 0 to 2147483647",
        f"  mine.toml:35:1 nodes.1.classes = [] — expected a list with at least one item, each {class_name}",
        f'  mine.toml:36:1 nodes.1.train_classes = "dog" — expected a list with at least one item, each {class_name}; '
        'did you mean ["dog"]?',
        "  mine.toml:39:1 embedding.sample_rate = 3 — expected a whole number from 8000 to 192000",
        "  mine.toml:42:1 federation.trim = 0.5 — expected a number of at least 0 and below 0.5",
        "  mine.toml:43:1 federation.fraction = 0 — expected a number above 0 and of at most 1",
        "  mine.toml:44:1 federation.dropout = 2 — expected a number from 0 to 1",
        f"  mine.toml:46:1 nothing = {{}} — unknown key; a profile has {sections}",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "",
            "mine.toml:1:1 the profile — [[nodes]] is missing, expected one table or more, "
            "each under a [[nodes]] of its own",
        ),
        (
            "[nodes]\nid = 0\n",
            'mine.toml:1:1 nodes = {"id": 0} — expected one table or more, each under a [[nodes]] of its own',
        ),
        ("generator = 3\n" + NODES, "mine.toml:1:1 generator = 3 — expected a table"),
        ("epochs = 3\n" + NODES, "mine.toml:1:1 epochs = 3 — unknown key; did you mean generator.epochs?"),
        (
            '[data]\ndataset = "esc50"\n' + NODES,
            'mine.toml:2:1 data.dataset = "esc50" — esc50 needs a root: the directory of the data set',
        ),
        (
            '[data]\ndataset = "builtin"\nroot = "x"\n' + NODES,
            'mine.toml:2:1 data.dataset = "builtin" — the built-in sounds have no root: remove one of the two',
        ),
        (
            "[data]\ntest_folds = [4]\n" + NODES,
            "mine.toml:2:1 data.test_folds = [4] — fold 4 is in data.train_folds too",
        ),
        ("[data]\ntest_folds = [5, 5]\n" + NODES, "mine.toml:2:1 data.test_folds = [5, 5] — named twice: 5"),
        (
            NODES + NODES,
            "mine.toml:2:1 nodes.0.id = 0 — another node has this id\n"
            "  mine.toml:5:1 nodes.1.id = 0 — another node has this id",
        ),
        (
            NODES + 'train_classes = ["cat"]\n',
            'mine.toml:4:1 nodes.0.train_classes = "cat" — not a class of this node: dog',
        ),
        (
            NODES + 'group = "animals"\n',
            'mine.toml:4:1 nodes.0.group = "animals" — a group has no meaning with granularity unified',
        ),
        (
            '[generator.groups]\na = ["dog"]\nb = ["dog"]\n' + NODES,
            'mine.toml:2:1 generator.groups.a = "dog" — the class is in more than one group\n'
            '  mine.toml:3:1 generator.groups.b = "dog" — the class is in more than one group',
        ),
        (
            '[generator]\ngranularity = "per_group"\n[generator.groups]\na = ["cat"]\n' + NODES,
            'mine.toml:7:1 nodes.0.classes = "dog" — class dog of node 0 is in no group: '
            "add it to one of generator.groups (a)",
        ),
    ],
)
def test_a_problem_says_where_it_is_what_is_there_and_what_was_expected(path: Path, text: str, problem: str) -> None:
    assert refusal(path, text).split("\n  ", 1)[1] == problem


def test_a_problem_of_a_setting_names_the_setting(path: Path) -> None:
    assert refusal(path, NODES, settings=["generator.epochs=no"]).endswith(
        '--set generator.epochs: generator.epochs = "no" — expected a whole number from 1 to 1000000'
    )


def test_a_problem_of_a_variable_names_the_variable(path: Path) -> None:
    assert refusal(path, NODES, environment={"FEDA2V_DATA_ROOT": "7"}).endswith(
        "environment FEDA2V_DATA_ROOT: data.root = 7 — expected a path in quotes"
    )


def test_a_syntax_error_has_its_line_and_column(path: Path) -> None:
    assert refusal(path, "[data]\nroot = no\n") == "mine.toml:2:8 is not valid TOML — Invalid value"


def test_a_file_that_is_not_utf_8_is_refused(path: Path) -> None:
    path.write_bytes(b"# caf\xe9\n")

    with pytest.raises(ProfileError, match="is not UTF-8 text — byte 5 cannot be read"):
        load_profile(str(path), environment={})


def test_a_deeply_nested_file_is_refused(path: Path) -> None:
    assert "mine.toml" in refusal(path, "a = " + "[" * 100_000)


def misuse(path: Path, **layers: object) -> UsageError:
    with pytest.raises(UsageError) as caught:
        load(path, NODES, **layers)
    return caught.value


def test_a_misspelt_variable_is_refused_with_the_closest_one(path: Path) -> None:
    error = misuse(path, environment={"FEDA2V_GENERATOR_EPOCH": "4"})

    assert str(error) == (
        "environment variable FEDA2V_GENERATOR_EPOCH names no key of a profile\n  did you mean FEDA2V_GENERATOR_EPOCHS?"
    )
    assert error.hint == "unset FEDA2V_GENERATOR_EPOCH"


@pytest.mark.parametrize("setting", ["generator.epochs", "=3", ".=3", "generator.=3"])
def test_a_setting_without_key_or_value_is_refused(path: Path, setting: str) -> None:
    assert str(misuse(path, settings=[setting])) == f"--set {setting} — expected key=value"


@pytest.mark.parametrize(
    ("setting", "answer"),
    [
        ("nodes.7.id=3", "--set nodes.7.id — there is no nodes.7"),
        ("nodes.0.id.x=3", "--set nodes.0.id.x — nodes.0.id holds no keys"),
        ("3=3", "--set 3 — the profile holds no keys"),
    ],
)
def test_a_setting_within_something_without_keys_is_refused(path: Path, setting: str, answer: str) -> None:
    assert str(misuse(path, settings=[setting])) == answer


def test_a_profile_that_is_not_there_is_refused_with_the_closest_one() -> None:
    with pytest.raises(UsageError) as caught:
        load_profile("per_grup", environment={})

    assert str(caught.value).splitlines() == [
        "no profile per_grup: neither a file nor a shipped profile",
        "  shipped: per_class, per_group, unified, use_pretrained",
        "  did you mean per_group?",
    ]


@pytest.mark.parametrize("name", sorted(shipped_profiles()))
def test_a_resolved_profile_is_the_same_profile_again(name: str, tmp_path: Path) -> None:
    loaded = load_profile(name, environment={}, settings=["data.root=/some where", "nodes.0.learning_rate=0.5"])
    copy = tmp_path / "resolved.toml"
    copy.write_text(resolved_toml(loaded), encoding="utf-8")

    assert load_profile(str(copy), environment={}).profile == loaded.profile


def test_every_value_says_where_it_came_from() -> None:
    lines = resolved_toml(load_profile("unified", environment={}, settings=["generator.epochs=3"])).splitlines()

    assert "epochs = 3 # --set generator.epochs" in lines
    assert "hidden = 64 # default" in lines
    assert "# root is not set" in lines
    assert any(line.startswith("rounds = 10 # unified:") for line in lines)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("generator.hidden=9999999999", "a whole number from 1 to 65536"),
        ("generator.rounds=100000000000000000000000", "a whole number from 1 to 1000000"),
        ("generator.epochs=2000000", "a whole number from 1 to 1000000"),
        ("generator.free_bits=1e300", "a number from 0 to 1e+30"),
        ("generator.clip_norm=1e39", "a number above 0 and of at most 1e+30"),
        ("generator.latent=100000", "a whole number from 1 to 4096"),
        ("adapter.hidden=9999999999", "a whole number from 1 to 65536"),
        ("adapter.noise=1e300", "a number from 0 to 1e+30"),
        ("federation.rounds=100000000000000000000000", "a whole number from 0 to 1000000"),
        ("federation.quorum=100000000000000000000000", "a whole number from 1 to 1000000"),
        ("synthetic.per_class=100000000000000000000000", 'a whole number from 0 to 1000000 or "auto"'),
        ("checkpoint.every=100000000000000000000000", "a whole number from 0 to 1000000"),
        ("embedding.seconds=1e300", "a number above 0 and of at most 3600"),
        ("embedding.tokens=100000000000000000000000", "a whole number from 1 to 65536"),
        ("experiment.seed=100000000000000000000000", "a whole number from 0 to 9223372036854775807"),
        (f"experiment.memory={'9' * 400}GB", 'auto, or a size like "2GB"'),
    ],
)
def test_a_number_that_nothing_can_hold_is_a_problem_of_the_profile(path: Path, setting: str, expected: str) -> None:
    assert f"expected {expected}" in refusal(path, NODES, settings=[setting])


def test_the_argument_of_a_profile_loads_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text("[[nodes]]\nid = 0\nclasses = ['dog']\n")

    assert load_profile("unified").argument == "unified"
    assert load_profile("mine.toml").argument == "mine.toml"


def test_a_value_of_an_option_is_told_from_one_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[embedding]\ntokens = 2\n[[nodes]]\nid = 0\nclasses = ['dog']\n")

    loaded = load_profile(
        str(path), settings=["embedding.encoder=a/b"], environment={"FEDA2V_EMBEDDING_SECONDS": "2.0"}
    )

    outside = [
        key for key in ("encoder", "seconds", "tokens", "sample_rate") if loaded.is_set_outside(f"embedding.{key}")
    ]
    assert outside == ["encoder", "seconds"]
