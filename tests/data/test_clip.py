import hashlib
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from feda2v_cli.data.builtin import BuiltinClip
from feda2v_cli.data.clip import FileClip, UnreadableClipError, fingerprint

RANDOM = np.random.default_rng(0)


def clip_of(path: Path) -> FileClip:
    return FileClip(path.name, "dog", 1, path=path)


def written(path: Path, samples: np.ndarray, sample_rate: int = 16_000, **options: str) -> FileClip:
    soundfile.write(path, samples, sample_rate, **options)
    return clip_of(path)


def a_tone(sample_rate: int, channels: int = 1, seconds: float = 0.5) -> np.ndarray:
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return np.stack([0.5 * np.sin(2 * np.pi * 440 * time)] * channels, axis=1)


@pytest.mark.parametrize(
    ("subtype", "error"),
    [("PCM_U8", 1e-2), ("PCM_16", 1e-4), ("PCM_24", 1e-6), ("PCM_32", 1e-6), ("FLOAT", 1e-7), ("DOUBLE", 1e-7)],
)
def test_wav_of_every_depth_reads_as_the_same_sound(tmp_path: Path, subtype: str, error: float) -> None:
    waveform = written(tmp_path / "clip.wav", a_tone(44_100), 44_100, subtype=subtype).read()

    assert waveform.samples.dtype == np.float32
    np.testing.assert_allclose(waveform.samples[0], a_tone(44_100)[:, 0], atol=error)


@pytest.mark.parametrize(
    ("name", "subtype"),
    [("clip.flac", "PCM_16"), ("clip.ogg", "VORBIS"), ("clip.ogg", "OPUS"), ("clip.mp3", "MPEG_LAYER_III")],
)
def test_compressed_formats_read_as_nearly_the_same_sound(tmp_path: Path, name: str, subtype: str) -> None:
    waveform = written(tmp_path / name, a_tone(48_000, seconds=1), 48_000, subtype=subtype).read()

    spectrum = np.abs(np.fft.rfft(waveform.samples[0]))
    assert waveform.sample_rate == 48_000
    assert waveform.seconds == pytest.approx(1, abs=0.06)
    assert spectrum.argmax() / waveform.seconds == pytest.approx(440, abs=2)


@pytest.mark.parametrize("sample_rate", [8_000, 11_025, 22_050, 44_100, 96_000, 192_000])
def test_every_sample_rate_is_kept(tmp_path: Path, sample_rate: int) -> None:
    waveform = written(tmp_path / "clip.wav", a_tone(sample_rate), sample_rate).read()

    assert waveform.sample_rate == sample_rate
    assert waveform.seconds == pytest.approx(0.5, abs=1e-3)


def test_stereo_has_two_channels(tmp_path: Path) -> None:
    assert written(tmp_path / "clip.wav", a_tone(16_000, channels=2)).read().samples.shape == (2, 8_000)


def test_hash_is_that_of_the_file(tmp_path: Path) -> None:
    clip = written(tmp_path / "clip.wav", a_tone(16_000))

    assert clip.content_hash() == hashlib.sha256(clip.path.read_bytes()).hexdigest()


def test_hash_of_a_builtin_sound_changes_with_class_and_take() -> None:
    clips = [BuiltinClip("x.wav", name, 1, take=take) for name in ("dog", "cow") for take in (0, 1)]

    assert len({clip.content_hash() for clip in clips}) == 4


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros((0, 1)), "no samples"),
        (a_tone(16_000, seconds=0.02), "20.0 ms long, at least 25 ms"),
        (np.zeros((8_000, 1)), "digital silence"),
        (np.full((8_000, 2), 0.25), "digital silence"),
        (np.where(np.arange(8_000) == 77, np.nan, 0.1)[:, None], "not finite"),
        (np.where(np.arange(8_000) == 77, np.inf, 0.1)[:, None], "not finite"),
    ],
)
def test_a_clip_without_a_usable_sound_says_why(tmp_path: Path, samples: np.ndarray, reason: str) -> None:
    clip = written(tmp_path / "clip.wav", samples, subtype="FLOAT")

    with pytest.raises(UnreadableClipError, match=reason) as caught:
        clip.read()
    assert str(clip.path) in caught.value.title
    assert "--skip-unreadable" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"not audio at all", "16 bytes that are no audio"),
        (b"RIFF\x24\x00\x00\x00WAVE", "no audio"),
        (bytes(range(256)) * 40, "no audio"),
    ],
)
def test_what_is_no_audio_is_unreadable(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "clip.wav").write_bytes(content)

    with pytest.raises(UnreadableClipError, match=reason):
        clip_of(tmp_path / "clip.wav").read()


def test_a_file_that_is_gone_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UnreadableClipError, match=r"clip.wav cannot be used — No such file"):
        clip_of(tmp_path / "clip.wav").content_hash()


def test_a_message_says_nothing_of_pythons_objects(tmp_path: Path) -> None:
    (tmp_path / "clip.wav").write_bytes(b"not audio at all")

    with pytest.raises(UnreadableClipError) as caught:
        clip_of(tmp_path / "clip.wav").read()
    assert "BytesIO" not in str(caught.value)
    assert "Format not recognised" in str(caught.value)


FORMATS = [
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "FLOAT"),
    ("WAVEX", "PCM_16"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
    ("CAF", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]


def noise_in(path: Path, form: str, subtype: str, seconds: float = 5) -> FileClip:
    return written(path, RANDOM.uniform(-0.5, 0.5, (round(seconds * 16_000), 1)), format=form, subtype=subtype)


@pytest.mark.parametrize(("form", "subtype"), FORMATS, ids="-".join)
@pytest.mark.parametrize("seconds", [0.06, 2.5, 4.9])
def test_a_truncated_file_of_any_format_is_unreadable(tmp_path: Path, form: str, subtype: str, seconds: float) -> None:
    clip = noise_in(tmp_path / "clip", form, subtype)
    assert clip.read().seconds == pytest.approx(5, abs=0.1)
    content = clip.path.read_bytes()
    clip.path.write_bytes(content[: round(len(content) * seconds / 5)])

    with pytest.raises(UnreadableClipError):
        clip.read()


def test_a_truncated_file_says_how_much_of_it_is_there(tmp_path: Path) -> None:
    clip = noise_in(tmp_path / "clip.wav", "WAV", "PCM_16")
    clip.path.write_bytes(clip.path.read_bytes()[: 44 + 2 * 960])

    with pytest.raises(UnreadableClipError, match=r"truncated: its header promises 5\.00 s of sound, and 0\.06 s are"):
        clip.read()


def test_a_header_that_is_wrong_by_its_own_length_is_no_truncation(tmp_path: Path) -> None:
    clip = noise_in(tmp_path / "clip.wav", "WAV", "PCM_16")
    content = clip.path.read_bytes()
    clip.path.write_bytes(content[:40] + struct.pack("<I", 160_044) + content[44:])

    assert clip.read().seconds == 5


@pytest.mark.parametrize(
    ("riff", "data"),
    [(0xFFFFFFFF, 0xFFFFFFFF), (0x7FFFF024, 0x7FFFF000), (0x80000024, 0x80000000), (0, 0), (36, 0), (8, 0)],
)
def test_a_wav_header_of_a_stream_promises_nothing(tmp_path: Path, riff: int, data: int) -> None:
    clip = noise_in(tmp_path / "clip.wav", "WAV", "PCM_16")
    whole = clip.read().samples
    content = clip.path.read_bytes()
    clip.path.write_bytes(
        content[:4] + struct.pack("<I", riff) + content[8:40] + struct.pack("<I", data) + content[44:]
    )

    np.testing.assert_array_equal(clip.read().samples, whole)


def flac_that_promises(clip: FileClip, samples: int) -> None:
    content = bytearray(clip.path.read_bytes())
    fields = int.from_bytes(content[18:26], "big")  # rate, channels, width, and 36 bits of samples
    content[18:26] = (fields >> 36 << 36 | samples).to_bytes(8, "big")
    clip.path.write_bytes(content)


def test_a_flac_header_of_a_stream_promises_nothing(tmp_path: Path) -> None:
    clip = noise_in(tmp_path / "clip.flac", "FLAC", "PCM_16")
    whole = clip.read().samples
    flac_that_promises(clip, 0)

    np.testing.assert_array_equal(clip.read().samples, whole)


def test_a_flac_header_that_promises_two_to_the_36_samples_is_unreadable(tmp_path: Path) -> None:
    clip = noise_in(tmp_path / "clip.flac", "FLAC", "PCM_16")
    flac_that_promises(clip, 2**36 - 1)

    with pytest.raises(UnreadableClipError, match="its header promises"):
        clip.read()


def test_an_mp3_without_a_length_promises_nothing(tmp_path: Path) -> None:
    clip = noise_in(tmp_path / "clip.mp3", "MP3", "MPEG_LAYER_III")
    content = clip.path.read_bytes()
    second_frame = content.index(content[:2], 100)
    clip.path.write_bytes(content[second_frame : len(content) // 2])

    assert clip.read().seconds > 1


def test_what_decodes_to_more_than_memory_holds_is_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feda2v_cli.data.audio_file.MOST_SAMPLES", 50_000)
    clip = noise_in(tmp_path / "clip.flac", "FLAC", "PCM_16")

    with pytest.raises(UnreadableClipError, match="more than 50,000 samples — cut it into clips"):
        clip.read()


@pytest.mark.parametrize("rate", [1, 8, 999, 10_000_001, 2**31 - 1])
def test_a_rate_at_which_nothing_is_heard_or_recorded_is_unreadable(tmp_path: Path, rate: int) -> None:
    clip = noise_in(tmp_path / "clip.wav", "WAV", "PCM_16")
    content = clip.path.read_bytes()
    clip.path.write_bytes(content[:24] + struct.pack("<I", rate) + content[28:])

    with pytest.raises(UnreadableClipError, match=f"sample rate is {rate:,} Hz, expected 1,000 to 10,000,000 Hz"):
        clip.read()


@pytest.mark.parametrize("rate", [0, 2**31, 2**32 - 1])
def test_a_rate_that_is_none_is_unreadable(tmp_path: Path, rate: int) -> None:
    clip = noise_in(tmp_path / "clip.wav", "WAV", "PCM_16")
    content = clip.path.read_bytes()
    clip.path.write_bytes(content[:24] + struct.pack("<I", rate) + content[28:])

    with pytest.raises(UnreadableClipError):
        clip.read()


def test_fingerprint_does_not_depend_on_the_order() -> None:
    clips = [BuiltinClip(f"{take}.wav", "dog", 1, take=take) for take in range(5)]

    assert fingerprint(clips) == fingerprint(reversed(clips))


@pytest.mark.parametrize("other", [("b.wav", "dog", 1), ("a.wav", "cow", 1), ("a.wav", "dog", 2)])
def test_fingerprint_tells_names_classes_and_folds_apart(other: tuple[str, str, int]) -> None:
    clip = BuiltinClip("a.wav", "dog", 1, take=0)

    assert fingerprint([clip]) != fingerprint([BuiltinClip(*other, take=0)])


def test_listing_clips_imports_neither_torch_nor_soundfile() -> None:
    program = (
        "import sys; from feda2v_cli.data.dataset import open_dataset; import feda2v_cli.data.nodes;"
        "open_dataset('auto', None); print({'torch', 'soundfile'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
