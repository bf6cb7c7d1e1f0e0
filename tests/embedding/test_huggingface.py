import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from feda2v_cli.data.builtin import BuiltinClip
from feda2v_cli.embedding import huggingface
from feda2v_cli.embedding.embed import embed
from feda2v_cli.embedding.encoder import Encoder, make_encoder
from feda2v_cli.errors import FailedError, MissingError, UsageError
from feda2v_cli.profile.schema import EmbeddingSection

CPU = torch.device("cpu")


def encoder_of(path: Path | str, **keys: Any) -> Encoder:
    return make_encoder(EmbeddingSection.model_validate({"encoder": str(path), "seconds": 2.0, **keys}), CPU)


def noise(clips: int, seconds: float = 2.0) -> torch.Tensor:
    return torch.rand(clips, round(seconds * 16_000), generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Such small models only lose time to several threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def transformers() -> Any:
    return pytest.importorskip("transformers")


@pytest.fixture
def ast(transformers: Any, tmp_path: Path) -> Path:
    """A tiny spectrogram transformer with random weights and a window of 2.56 s, as it lies on a disk."""
    torch.manual_seed(0)
    config = transformers.ASTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        num_mel_bins=32,
        max_length=256,
    )
    transformers.ASTModel(config).save_pretrained(tmp_path / "tiny-ast")
    transformers.ASTFeatureExtractor(num_mel_bins=32, max_length=256).save_pretrained(tmp_path / "tiny-ast")
    return tmp_path / "tiny-ast"


def test_a_model_is_loaded_from_its_directory(ast: Path) -> None:
    encoder = encoder_of(ast)

    assert (encoder.name, encoder.shape, encoder.sample_rate) == ("tiny-ast", (4, 32), 16_000)
    assert "pre-trained ASTModel" in encoder.description


def test_clips_become_finite_embeddings_that_differ(ast: Path, tmp_path: Path, clips: tuple[BuiltinClip, ...]) -> None:
    values = embed(clips[:4], encoder_of(ast), tmp_path / "cache").values

    assert values.shape == (4, 4, 32)
    assert values.isfinite().all()
    assert values.std(dim=0).mean() > 0.01


@pytest.mark.parametrize("batch", [1, 4])
def test_a_clip_has_the_same_bits_alone_and_in_any_batch(
    ast: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setitem(huggingface._BATCH, "cpu", batch)
    encoder, waveforms = encoder_of(ast), noise(6)

    together = encoder.encode(waveforms)

    assert torch.equal(together, torch.cat([encoder.encode(waveform[None]) for waveform in waveforms]))


def test_tokens_follow_time_not_frequency(ast: Path) -> None:
    encoder, waveforms = encoder_of(ast), noise(1).repeat(2, 1)
    waveforms[1, 24_000:] *= 0.001

    change = (encoder.encode(waveforms)[0] - encoder.encode(waveforms)[1]).norm(dim=1)

    assert change.argmax() == 3


def test_the_identity_follows_the_weights(ast: Path, transformers: Any) -> None:
    before = dict(encoder_of(ast).identity)
    model = transformers.ASTModel.from_pretrained(ast)
    model.layernorm.bias.data += 1
    model.save_pretrained(ast)
    after = dict(encoder_of(ast).identity)

    assert before.pop("weights") != after.pop("weights")
    assert before == after
    assert json.loads(json.dumps(after)) == after


def test_the_identity_does_not_follow_the_place(ast: Path) -> None:
    before = dict(encoder_of(ast).identity)
    (ast.parent / "elsewhere").mkdir()

    assert encoder_of(ast.rename(ast.parent / "elsewhere" / ast.name)).identity == before


def test_a_directory_is_read_without_the_network(ast: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*address: object) -> None:
        raise AssertionError(f"a connection to {address} was opened")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)

    encoder_of(ast)


def test_clips_longer_than_the_models_window_are_a_usage_error(ast: Path) -> None:
    with pytest.raises(UsageError, match=r"longer than what tiny-ast hears at once, 2.56 s"):
        encoder_of(ast, seconds=5.0)


def test_more_tokens_than_the_model_tells_apart_are_a_usage_error(ast: Path) -> None:
    with pytest.raises(UsageError, match=r"tiny-ast tells only 20 stretches"):
        encoder_of(ast, tokens=50)


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "preprocessor_config.json"])
def test_an_incomplete_model_is_missing(ast: Path, file: str) -> None:
    (ast / file).unlink()

    with pytest.raises(MissingError, match=f"it lacks .*{file.partition('.')[0]}"):
        encoder_of(ast)


def test_a_truncated_weights_file_is_an_error(ast: Path) -> None:
    weights = ast / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1_000])

    with pytest.raises(FailedError, match="cannot be loaded"):
        encoder_of(ast)


def test_weights_that_would_be_drawn_at_random_are_an_error(ast: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(ast / "model.safetensors")
    del weights["layernorm.bias"]
    save_file(weights, ast / "model.safetensors", metadata={"format": "pt"})

    with pytest.raises(FailedError, match=r"lacks weights of the model: layernorm.bias \(1 in all\)"):
        encoder_of(ast)


@pytest.mark.usefixtures("transformers")
def test_a_model_that_is_not_here_and_cannot_be_fetched_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    with pytest.raises(MissingError, match="cannot be fetched from Hugging Face") as caught:
        encoder_of("nobody-at-all/no-such-model")
    assert "hf download nobody-at-all/no-such-model" in str(caught.value.hint)


def test_without_transformers_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)

    with pytest.raises(MissingError, match="needs transformers") as caught:
        encoder_of("MIT/ast-finetuned-audioset-10-10-0.4593")
    assert caught.value.hint == "pip install 'feda2v[hf]'"


def test_a_model_that_listens_to_the_waveform_works_too(transformers: Any, tmp_path: Path) -> None:
    config = transformers.Wav2Vec2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, conv_dim=(32,) * 7
    )
    transformers.Wav2Vec2Model(config).save_pretrained(tmp_path / "tiny-wave")
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / "tiny-wave")

    encoder = encoder_of(tmp_path / "tiny-wave")

    assert encoder.encode(noise(2)).shape == (2, *encoder.shape) == (2, 4, 32)


def test_of_a_model_with_a_decoder_the_encoder_is_used(transformers: Any, tmp_path: Path) -> None:
    config = transformers.WhisperConfig(
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        vocab_size=64,
        max_source_positions=1500,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    transformers.WhisperModel(config).save_pretrained(tmp_path / "tiny-whisper")
    transformers.WhisperFeatureExtractor(feature_size=80).save_pretrained(tmp_path / "tiny-whisper")

    encoder = encoder_of(tmp_path / "tiny-whisper")

    assert encoder.identity["model"] == "WhisperEncoder"
    assert encoder.encode(noise(1)).shape == (1, 4, 32)
