import json
from pathlib import Path

import pytest
import torch

from feda2v_cli.embedding.cache import encoder_key
from feda2v_cli.embedding.encoder import make_encoder, node_encoders
from feda2v_cli.errors import MissingError, UsageError
from feda2v_cli.profile.schema import EmbeddingSection, Profile

CPU = torch.device("cpu")


def a_section(**keys: object) -> EmbeddingSection:
    return EmbeddingSection.model_validate(keys)


def test_the_default_encoder_is_built_in() -> None:
    encoder = make_encoder(EmbeddingSection(), CPU)

    assert (encoder.name, encoder.shape, encoder.sample_rate) == ("melstats", (4, 768), 16_000)
    assert "no pre-trained weights" in encoder.description


def test_identity_survives_json() -> None:
    identity = dict(make_encoder(EmbeddingSection(), CPU).identity)

    assert json.loads(json.dumps(identity)) == identity


@pytest.mark.parametrize("change", [{"tokens": 2}, {"sample_rate": 8_000}, {"seconds": 4.0}])
def test_what_changes_the_embedding_changes_the_key(change: dict[str, object]) -> None:
    assert encoder_key(make_encoder(a_section(**change), CPU)) != encoder_key(make_encoder(EmbeddingSection(), CPU))


def test_what_does_not_change_the_embedding_keeps_the_key(tmp_path: Path) -> None:
    assert encoder_key(make_encoder(a_section(cache=tmp_path), CPU)) == encoder_key(
        make_encoder(EmbeddingSection(), CPU)
    )


def test_an_unknown_encoder_lists_what_there_is() -> None:
    with pytest.raises(UsageError, match=r"embedding.encoder = melstat — no such encoder") as caught:
        make_encoder(a_section(encoder="melstat"), CPU)
    assert "built in: melstats" in caught.value.details
    assert "did you mean melstats?" in caught.value.details


def test_a_directory_that_is_not_there_is_missing(tmp_path: Path) -> None:
    (tmp_path / "tiny-ast").mkdir()

    with pytest.raises(MissingError, match="no such directory") as caught:
        make_encoder(a_section(encoder=str(tmp_path / "tiny-asd")), CPU)
    assert caught.value.details == (f"did you mean {tmp_path / 'tiny-ast'}?",)


def test_tokens_that_an_encoder_does_not_give_are_told_with_the_node_that_asks_for_them() -> None:
    nodes = [{"id": 3, "classes": ["dog"]}, {"id": 7, "classes": ["cow"], "tokens": "cls"}]
    with pytest.raises(UsageError, match=r"node 7: embedding\.tokens = cls — melstats has no class token"):
        node_encoders(make_encoder(EmbeddingSection(), CPU), Profile.model_validate({"nodes": nodes}))


def test_nodes_with_the_same_tokens_have_the_same_encoder() -> None:
    nodes = [{"id": node, "classes": ["dog"], "tokens": tokens} for node, tokens in enumerate((None, 2, 4, 2))]
    encoder = make_encoder(EmbeddingSection(), CPU)

    own = node_encoders(encoder, Profile.model_validate({"nodes": nodes}))

    assert (own[0] is encoder, own[2] is encoder, own[1] is own[3], own[1].shape) == (True, True, True, (2, 768))
