import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from flower_places import PROFILE, Place

from feda2v_cli.flower.letter import CONTENT, Letter
from feda2v_cli.job.federate.run import Federated

pytestmark = pytest.mark.flower

STRATEGIES = ("fedavg", "fedadam", "median", "kd", "one_shot")


@dataclass(frozen=True)
class Recorded:
    """A run on Flower, and every letter of it."""

    done: Federated
    letters: dict[str, list[Letter]]


@pytest.fixture(scope="module")
def recorded() -> dict[str, Recorded]:
    """Runs that were done already, by strategy."""
    return {}


def _settings(strategy: str) -> tuple[str, str]:
    return f"federation.strategy={strategy}", "federation.evaluate_every=2"


def _on_flower(place: Place, recorded: dict[str, Recorded], strategy: str) -> Recorded:
    from feda2v_cli.flower import link

    if strategy not in recorded:
        letters: dict[str, list[Letter]] = {"sent": [], "came": []}

        def sent(letter: Letter) -> object:
            letters["sent"].append(letter)
            return to_record(letter)

        def came(record: object) -> Letter:
            letters["came"].append(from_record(record))
            return letters["came"][-1]

        to_record, from_record = link.to_record, link.from_record
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(link, "to_record", sent)
            patch.setattr(link, "from_record", came)
            done = place.federate(
                f"flower_{strategy}", f"federation.strategy={strategy}", "federation.evaluate_every=2"
            )
        recorded[strategy] = Recorded(done, letters)
    return recorded[strategy]


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    from feda2v_cli.checkpoint.file import load_content
    from feda2v_cli.checkpoint.metadata import AdapterMetadata

    return load_content(path, AdapterMetadata)[1]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_adapters_are_the_same_bits_as_those_of_one_process(place: Place, recorded, strategy: str) -> None:
    here = place.federate(
        f"local_{strategy}", f"federation.strategy={strategy}", "federation.evaluate_every=2", engine="local"
    )
    there = _on_flower(place, recorded, strategy).done
    assert [path.name for path in here.adapters] == [path.name for path in there.adapters]
    for mine, theirs in zip(here.adapters, there.adapters, strict=True):
        left, right = _tensors(mine), _tensors(theirs)
        assert left.keys() == right.keys()
        assert all(torch.equal(left[name], right[name]) for name in left)
    assert [row["accuracy"] for row in here.rounds] == [row["accuracy"] for row in there.rounds]
    assert here.confusion == there.confusion


def test_one_shot_asks_a_node_for_its_generators_once_and_sends_the_adapters_once(place: Place, recorded) -> None:
    letters = _on_flower(place, recorded, "one_shot").letters
    assert [letter.kind for letter in letters["sent"]] == ["join", "join", "evaluate", "evaluate"]
    joined = [letter for letter in letters["came"] if letter.kind == "joined"]
    assert [len(letter.checkpoints) for letter in joined] == [1, 1]
    assert not any(letter.arrays or "tokens" in letter.values for letter in joined)  # samples standardise
    assert not any(letter.checkpoints for letter in letters["sent"])


def test_keys_of_one_space_and_equal_weights_mean_the_same_on_several_machines(place: Place) -> None:
    keys = ["federation.weighting=equal", "adapter.clip_schedule=constant", "adapter.t5_weight_decay=0.5"]
    keys += ["federation.evaluate_every=2"]
    here = place.federate("local_keys", *keys, engine="local")
    there = place.federate("flower_keys", *keys)
    left, right = _tensors(here.adapters[-1]), _tensors(there.adapters[-1])
    assert all(torch.equal(left[name], right[name]) for name in left)
    evaluated = place.federate("none", "federation.rounds=0", "checkpoint.load_adapters=local_keys")
    assert evaluated.confusion == here.confusion
    assert evaluated.final["loss"] == here.final["loss"]


def test_generators_of_unknown_nodes_are_refused_where_nodes_give_their_own(place: Place) -> None:
    from feda2v_cli.errors import UsageError

    with pytest.raises(UsageError, match="trained itself"):
        place.federate("never", "synthetic.match=class")


def test_no_message_holds_a_clip_a_name_of_a_file_or_a_path(place: Place, recorded) -> None:
    from feda2v_cli.job.federate.plan import plan_federation
    from feda2v_cli.job.federate.set_up import set_up_federation
    from feda2v_cli.job.nodes import embed_nodes
    from feda2v_cli.profile.load import load_profile
    from feda2v_cli.run.event import ignore_event

    letters = [letter for way in _on_flower(place, recorded, "fedavg").letters.values() for letter in way]
    assert {letter.kind for letter in letters} >= {"join", "joined", "train", "trained", "evaluate", "evaluated"}
    assert {letter.kind for letter in letters} <= CONTENT.keys()
    plan = plan_federation(load_profile("node.toml", settings=["synthetic.per_class=0"]))
    setup = set_up_federation(plan, embed_nodes(plan.nodes, plan.encoder, plan.profile, ignore_event))
    clips = torch.cat([setup.clips.embeddings, setup.held_out.embeddings])
    raw = clips * setup.standardisation.scale + setup.standardisation.mean
    # Any token of any clip, as it is and as training sees it.
    wanted = {token.numpy().tobytes() for values in (raw, clips) for token in values.flatten(0, 1)[:, :16]}
    for letter in letters:
        everything = [*(array.contiguous().numpy().tobytes() for array in letter.arrays.values()), *letter.checkpoints]
        for content in everything:
            assert not any(token in content for token in wanted)
            assert str(place.path).encode() not in content
            assert not re.search(rb"[/\\]home[/\\]|\.wav|\.flac", content)
        text = json.dumps(letter.values)
        assert "/" not in text.replace("/s", "")
        assert ".wav" not in text


def test_nodes_whose_tokens_differ_train_the_same_bits_as_in_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from feda2v_cli.job.federate.run import federate
    from feda2v_cli.job.train_generators.run import train_generators
    from feda2v_cli.profile.load import load_profile

    monkeypatch.chdir(tmp_path)
    # Both hold as many clips: they would be trained together if their items had as many tokens.
    text = PROFILE.replace('["rain", "sea_waves", "siren"]', '["rain", "dog"]\ntokens = 3')
    Path("mixed.toml").write_text(text.replace("rounds = 2", "rounds = 1"))
    train_generators(load_profile("mixed.toml"))

    def adapters(engine: str) -> list[dict[str, torch.Tensor]]:
        settings = [f"federation.engine={engine}", f"checkpoint.adapter_dir={engine}", "federation.deadline=200.0"]
        settings += ["federation.strategy=fedavg", "synthetic.use=['local','server']"]
        return [_tensors(path) for path in federate(load_profile("mixed.toml", settings=settings)).adapters]

    for here, there in zip(adapters("local"), adapters("flower"), strict=True):
        assert all(torch.equal(here[name], there[name]) for name in here)
