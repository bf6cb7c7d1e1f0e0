"""Seeded mutations of checkpoint files: what a bad disk, a bad copy or a bad person does to bytes."""

import random
import struct
from collections.abc import Callable, Iterator

Mutation = Callable[[bytearray, random.Random], None]


def _flip(content: bytearray, draw: random.Random) -> None:
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)


def _overwrite(content: bytearray, draw: random.Random) -> None:
    start = draw.randrange(len(content))
    content[start : start + draw.randrange(1, 64)] = draw.randbytes(draw.randrange(1, 64))


def _truncate(content: bytearray, draw: random.Random) -> None:
    del content[draw.randrange(len(content)) :]


def _cut(content: bytearray, draw: random.Random) -> None:
    start = draw.randrange(len(content))
    del content[start : start + draw.randrange(1, 500)]


def _repeat(content: bytearray, draw: random.Random) -> None:
    start = draw.randrange(len(content))
    content[start:start] = content[start : start + draw.randrange(1, 500)]


def _forge_number(content: bytearray, draw: random.Random) -> None:
    """Put a remarkable number where a size or an offset may be."""
    number = draw.choice([0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1, (1 << 64) - 1])
    packed = struct.pack("<Q", number)[: draw.choice([1, 2, 4, 8])]
    start = draw.randrange(len(content))
    content[start : start + len(packed)] = packed


def _forge_directory(content: bytearray, draw: random.Random) -> None:
    """Put a remarkable number into the directory of the archive, or its end."""
    signatures = list(_places(content, b"PK\1\2", b"PK\5\6", b"PK\6\6", b"PK\6\7"))
    if signatures:
        start = draw.choice(signatures) + draw.randrange(4, 46)
        packed = struct.pack("<Q", draw.choice([0, 1, 0xFFFF, 0xFFFFFFFF, 1 << 62, draw.randrange(1 << 32)]))
        content[start : start + 4] = packed[:4]


def _places(content: bytes, *signatures: bytes) -> Iterator[int]:
    for signature in signatures:
        start = content.find(signature)
        while start >= 0:
            yield start
            start = content.find(signature, start + 1)


def _splice_pickle(content: bytearray, draw: random.Random) -> None:
    """Put instructions that would run something into the pickle."""
    start = content.find(b"\x80\x02}")
    if start >= 0:
        payload = draw.choice(
            [b"cos\nsystem\n", b"(ios\nsystem\n", b"cbuiltins\neval\n", b"\x82\x01", b"R", b"b", b"Q"]
        )
        place = start + 3 + draw.randrange(200)
        content[place : place + len(payload)] = payload


MUTATIONS: tuple[Mutation, ...] = (
    _flip,
    _overwrite,
    _truncate,
    _cut,
    _repeat,
    _forge_number,
    _forge_directory,
    _splice_pickle,
)


def mutated(content: bytes, seed: int) -> bytes:
    """The content after one to three mutations; the same seed gives the same bytes."""
    draw = random.Random(seed)
    changed = bytearray(content)
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        if changed:
            draw.choice(MUTATIONS)(changed, draw)
    return bytes(changed)
