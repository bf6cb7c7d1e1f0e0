import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from model_samples import write_ast, write_clap

from feda2v_cli.data.builtin import BuiltinClip
from feda2v_cli.embedding import encoder as encoder_module
from feda2v_cli.embedding import huggingface
from feda2v_cli.embedding.cache import encoder_key
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


@pytest.fixture
def ast(tmp_path: Path) -> Path:
    return write_ast(tmp_path / "tiny-ast")


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


def test_the_identity_follows_the_weights(ast: Path) -> None:
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


def test_a_model_that_listens_to_the_waveform_works_too(tmp_path: Path) -> None:
    config = transformers.Wav2Vec2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, conv_dim=(32,) * 7
    )
    transformers.Wav2Vec2Model(config).save_pretrained(tmp_path / "tiny-wave")
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / "tiny-wave")

    encoder = encoder_of(tmp_path / "tiny-wave")

    assert encoder.encode(noise(2)).shape == (2, *encoder.shape) == (2, 4, 32)


def test_all_tokens_are_the_models_hidden_states_in_its_own_order_of_the_whole_window(ast: Path) -> None:
    encoder, waveforms = encoder_of(ast, tokens="all"), noise(2)
    model = transformers.ASTModel.from_pretrained(ast)
    extractor = transformers.ASTFeatureExtractor.from_pretrained(ast)
    window = waveforms.repeat(1, 2)[:, : round(2.56 * 16_000)]

    with torch.no_grad():
        features = extractor(list(window.numpy()), sampling_rate=16_000, return_tensors="pt")
        states = model.eval()(**features).last_hidden_state

    assert encoder.shape == (52, 32)
    torch.testing.assert_close(encoder.encode(waveforms), states)


def test_the_class_token_is_the_first_of_all_tokens(ast: Path) -> None:
    waveforms = noise(2)
    alone, every = (encoder_of(ast, tokens=tokens).encode(waveforms) for tokens in ("cls", "all"))
    assert torch.equal(alone, every[:, :1])


@pytest.mark.parametrize("tokens", ["cls", "all", 2])
def test_an_encoder_with_other_tokens_shares_the_model_and_is_the_one_that_would_be_made(
    ast: Path, tokens: int | str
) -> None:
    other, made = encoder_of(ast).with_tokens(tokens), encoder_of(ast, tokens=tokens)
    assert (other.identity, other.shape) == (made.identity, made.shape)
    assert torch.equal(other.encode(noise(1)), made.encode(noise(1)))


def test_embeddings_that_are_kept_in_bfloat16_are_computed_in_it_where_that_is_quick(
    ast: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waveforms, exact = noise(3), encoder_of(ast)
    monkeypatch.setattr(encoder_module, "is_quick_in_bfloat16", lambda _: True)
    quick = encoder_of(ast, cache_dtype="bfloat16")
    monkeypatch.setattr(encoder_module, "is_quick_in_bfloat16", lambda _: False)
    slow = encoder_of(ast, cache_dtype="bfloat16")

    assert (quick.precision, slow.precision, exact.precision) == ("bfloat16", "float32", "float32")
    assert "in bfloat16, which is quicker there" in quick.description
    assert torch.equal(slow.encode(waveforms), exact.encode(waveforms))
    assert 0 < (quick.encode(waveforms) - exact.encode(waveforms)).norm() < 0.02 * exact.encode(waveforms).norm()
    assert quick.identity == exact.identity
    assert encoder_key(quick, "bfloat16") != encoder_key(slow, "bfloat16") != encoder_key(slow, "float32")


def test_a_model_without_a_class_token_is_asked_for_none(tmp_path: Path) -> None:
    clap = write_clap(tmp_path / "tiny-clap")
    with pytest.raises(UsageError, match=r"tokens = cls — tiny-clap \(ClapAudioModel\) has no class token"):
        encoder_of(clap, tokens="cls")
    assert encoder_of(clap, tokens="all").encode(noise(1, 6.0)).shape[1] > 4


def test_of_a_model_with_a_decoder_the_encoder_is_used(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("fused", [False, True])
def test_of_clap_the_audio_tower_is_used(tmp_path: Path, fused: bool) -> None:
    encoder = encoder_of(write_clap(tmp_path / "tiny-clap", fused=fused))

    assert encoder.identity["model"] == "ClapAudioModel"
    assert (encoder.sample_rate, encoder.shape) == (48_000, (4, 32))
    assert encoder.encode(noise(2, 6.0)).isfinite().all()


def test_tokens_of_clap_follow_time(tmp_path: Path) -> None:
    encoder = encoder_of(write_clap(tmp_path / "tiny-clap"), seconds=10.0)
    waveforms = noise(1, 30.0).repeat(2, 1)
    waveforms[1, 3 * 480_000 // 4 :] *= 0.001

    change = (encoder.encode(waveforms)[0] - encoder.encode(waveforms)[1]).norm(dim=1)

    assert change.argmax() == 3


def test_a_clip_has_the_same_bits_in_any_batch_of_a_fused_clap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(huggingface._BATCH, "cpu", 4)
    encoder, waveforms = encoder_of(write_clap(tmp_path / "tiny-clap", fused=True)), noise(4, 6.0)

    assert all(torch.equal(encoder.encode(waveforms), encoder.encode(waveforms)) for _ in range(3))


def _encodec(directory: Path) -> None:
    config = transformers.EncodecConfig(
        num_filters=4, hidden_size=8, num_lstm_layers=1, codebook_size=16, codebook_dim=8, upsampling_ratios=[8, 5]
    )
    transformers.EncodecModel(config).save_pretrained(directory)
    transformers.EncodecFeatureExtractor().save_pretrained(directory)


def _dac(directory: Path) -> None:
    config = transformers.DacConfig(
        encoder_hidden_size=8, downsampling_ratios=[4, 5], decoder_hidden_size=16, n_codebooks=2, codebook_size=16
    )
    transformers.DacModel(config).save_pretrained(directory)
    transformers.DacFeatureExtractor().save_pretrained(directory)


def _speecht5(directory: Path) -> None:
    config = transformers.SpeechT5Config(
        hidden_size=32, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=32, decoder_layers=1,
        decoder_attention_heads=2, decoder_ffn_dim=32, conv_dim=(32,) * 7, vocab_size=32,
    )  # fmt: skip
    transformers.SpeechT5Model(config).save_pretrained(directory)
    transformers.SpeechT5FeatureExtractor().save_pretrained(directory)


def _text(directory: Path) -> None:
    config = transformers.BertConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, vocab_size=64
    )
    transformers.BertModel(config).save_pretrained(directory)
    (directory / "preprocessor_config.json").write_text("{}")


def _ast_with_a_window_shorter_than_a_patch(directory: Path) -> None:
    write_ast(directory, max_length=256)
    for name in ("config.json", "preprocessor_config.json"):
        content = json.loads((directory / name).read_text())
        (directory / name).write_text(json.dumps(content | {"max_length": 8}))


@pytest.mark.parametrize(
    "write",
    [_encodec, _dac, _speecht5, _text, _ast_with_a_window_shorter_than_a_patch],
    ids=lambda write: write.__name__,
)
def test_a_model_that_does_not_fit_is_an_error_that_names_models_that_do(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    write(tmp_path / "model")

    with pytest.raises(FailedError, match="model") as caught:
        encoder_of(tmp_path / "model", seconds=0.05)
    assert "AST, wav2vec 2.0, HuBERT, WavLM, the encoder of Whisper, CLAP's audio tower" in caught.value.details[-1]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_one_weight_that_is_not_finite_is_an_error_that_names_it(ast: Path, value: float) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(ast / "model.safetensors")
    weights["layernorm.bias"][3] = value
    save_file(weights, ast / "model.safetensors", metadata={"format": "pt"})

    with pytest.raises(FailedError, match=r"holds weights that are not finite numbers: layernorm\.bias"):
        encoder_of(ast)


def test_sounds_too_short_to_hear_are_a_usage_error(ast: Path) -> None:
    with pytest.raises(UsageError, match=r"embedding.seconds = 1e-05 is too short"):
        encoder_of(ast, seconds=1e-5)


@pytest.mark.parametrize("path", ["~nobody-at-all/model", "/etc/hostname", "/" + 300 * "x", "a\0b/c"])
def test_a_path_that_leads_to_no_model_is_missing(path: str) -> None:
    with pytest.raises(MissingError, match=r"embedding\.encoder = "):
        encoder_of(path)
