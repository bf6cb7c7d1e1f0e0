import json
import re
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.flower

STRATEGIES = ("fedavg", "fedadam", "median", "kd", "one_shot")


def _run(served, monkeypatch: pytest.MonkeyPatch, engine: str, adapters: str, strategy: str, *settings: str):
    from feda2v_cli.job.federate.run import federate
    from feda2v_cli.profile.load import load_profile

    monkeypatch.chdir(served.path)
    given = [f"federation.engine={engine}", f"federation.strategy={strategy}", f"checkpoint.adapter_dir={adapters}"]
    if engine == "flower":
        given += [f"flower.server='{served.address}'", "flower.keys='keys'", "federation.deadline=200.0"]
    return federate(load_profile("node.toml", settings=[*given, *settings]), force=True)


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    from feda2v_cli.checkpoint.file import load_content
    from feda2v_cli.checkpoint.metadata import AdapterMetadata

    return load_content(path, AdapterMetadata)[1]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_adapters_are_the_same_bits_as_those_of_one_process(served, monkeypatch, strategy: str) -> None:
    here = _run(served, monkeypatch, "local", f"local_{strategy}", strategy)
    there = _run(served, monkeypatch, "flower", f"flower_{strategy}", strategy)
    assert [path.name for path in here.adapters] == [path.name for path in there.adapters]
    for mine, theirs in zip(here.adapters, there.adapters, strict=True):
        left, right = _tensors(mine), _tensors(theirs)
        assert left.keys() == right.keys()
        assert all(torch.equal(left[name], right[name]) for name in left)
    assert [row["accuracy"] for row in here.rounds] == [row["accuracy"] for row in there.rounds]
    assert here.confusion == there.confusion


def test_keys_of_one_space_and_equal_weights_mean_the_same_on_several_machines(served, monkeypatch) -> None:
    keys = ["federation.weighting=equal", "adapter.clip_schedule=constant", "adapter.t5_weight_decay=0.5"]
    here = _run(served, monkeypatch, "local", "local_keys", "fedavg", *keys)
    there = _run(served, monkeypatch, "flower", "flower_keys", "fedavg", *keys)
    left, right = _tensors(here.adapters[-1]), _tensors(there.adapters[-1])
    assert all(torch.equal(left[name], right[name]) for name in left)
    evaluated = _run(
        served, monkeypatch, "flower", "none", "fedavg", "federation.rounds=0", "checkpoint.load_adapters=local_keys"
    )
    assert evaluated.confusion == here.confusion
    assert evaluated.final["loss"] == here.final["loss"]


def test_generators_of_unknown_nodes_are_refused_where_nodes_give_their_own(served, monkeypatch) -> None:
    from feda2v_cli.errors import UsageError

    with pytest.raises(UsageError, match="trained itself"):
        _run(served, monkeypatch, "flower", "never", "fedavg", "synthetic.match=class")


def test_no_message_holds_a_clip_a_name_of_a_file_or_a_path(served, monkeypatch) -> None:
    from feda2v_cli.flower import link
    from feda2v_cli.flower.letter import CONTENT, Letter
    from feda2v_cli.job.federate.plan import plan_federation
    from feda2v_cli.job.federate.set_up import set_up_federation
    from feda2v_cli.job.nodes import embed_nodes
    from feda2v_cli.profile.load import load_profile
    from feda2v_cli.run.event import ignore_event

    letters: list[Letter] = []
    to_record, from_record = link.to_record, link.from_record

    def sent(letter: Letter) -> object:
        letters.append(letter)
        return to_record(letter)

    def came(record: object) -> Letter:
        letters.append(from_record(record))
        return letters[-1]

    monkeypatch.setattr(link, "to_record", sent)
    monkeypatch.setattr(link, "from_record", came)
    _run(served, monkeypatch, "flower", "recorded", "fedavg")
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
            assert str(served.path).encode() not in content
            assert not re.search(rb"[/\\]home[/\\]|\.wav|\.flac", content)
        text = json.dumps(letter.values)
        assert "/" not in text.replace("/s", "")
        assert ".wav" not in text
