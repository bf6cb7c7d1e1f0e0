"""The zip archive that `torch.save` writes, read strictly: whatever is not as torch writes it is a defect.

The standard library's reader is lenient: it accepts data before the archive, records that overlap, compression, and
directories of any size. Here the records must be stored, lie one after the other, and be found where the directory
says.
Layout: APPNOTE.TXT of PKWARE, sections 4.3.7 to 4.5.3.

A checkpoint of this package carries a seal in the archive's comment: a SHA-256 of every byte of the file before it. One
pass over the file at the speed of `sha256sum` finds a bit that flipped anywhere: in a tensor, the pickle, the metadata,
a header, the directory. A second one finds out whether the records are what the sealed metadata say.
"""

import hashlib
import re
import struct
import zlib
from dataclasses import dataclass

from feda2v_cli.checkpoint.defect import Corrupt
from feda2v_cli.checkpoint.format.opening import OpenFile

#: What a directory may take. A dense model has some twenty records of 100 bytes.
LARGEST_DIRECTORY_BYTES = 4 << 20

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_LOCATOR64 = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENCRYPTED = 0x1
_FULL_16, _FULL_32 = 0xFFFF, 0xFFFFFFFF
_ZIP64_FIELD = 1

_SEAL_PREFIX = b"feda2v seal, SHA-256 of all before: "
_SEAL = re.compile(re.escape(_SEAL_PREFIX) + rb"[0-9a-f]{64}")
SEAL_BYTES = len(_SEAL_PREFIX) + 64


@dataclass(frozen=True, slots=True)
class Record:
    """A member of the archive.

    Attributes:
        name: its name under the archive's root folder, like `data/0`.
        full_name: its name with the root folder.
        size: bytes of its content.
        crc: CRC-32 of its content, as the directory says.
        header: where its header begins in the file.
    """

    name: str
    full_name: str
    size: int
    crc: int
    header: int


@dataclass(frozen=True)
class Archive:
    """An open archive and its records.

    Attributes:
        file: the file.
        records: by name under the root folder, in the order of the directory.
        root: name of the root folder.
        directory: where the central directory begins.
        comment: the archive's comment.
    """

    file: OpenFile
    records: dict[str, Record]
    root: str
    directory: int
    comment: bytes

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of every record by name."""
        return {name: record.size for name, record in self.records.items()}

    def content_offset(self, record: Record) -> int:
        """Where a record's content begins in the file.

        Raises:
            Corrupt: the record's header is not what the directory says.
        """
        header = self.file.read(record.header, _LOCAL.size)
        signature, _, _, method, _, _, _, _, _, name_length, extra_length = _LOCAL.unpack(header)
        name = self.file.read(record.header + _LOCAL.size, name_length)
        if signature != b"PK\3\4" or method or name != record.full_name.encode():
            raise Corrupt(f"the header of record {record.name} is damaged")
        start: int = record.header + _LOCAL.size + name_length + extra_length
        if start + record.size > self.directory:
            raise Corrupt(f"record {record.name} reaches beyond the records")
        return start

    def content(self, record: Record) -> bytes:
        """A record's content."""
        return self.file.read(self.content_offset(record), record.size)

    def check_layout(self) -> None:
        """Check every record's header and that no two records share a byte.

        Raises:
            Corrupt: they are not as the directory says.
        """
        end = 0
        for record in sorted(self.records.values(), key=lambda record: record.header):
            if record.header < end:
                raise Corrupt(f"record {record.name} overlaps another")
            end = self.content_offset(record) + record.size


def read_archive(file: OpenFile) -> Archive:
    """The archive in a file, from its end.

    Raises:
        Corrupt: it is no archive, or its directory is damaged.
    """
    if file.size == 0:
        raise Corrupt("is empty")
    tail = file.read(max(0, file.size - _LONGEST_TAIL), min(file.size, _LONGEST_TAIL))
    tail_start = file.size - len(tail)
    end = _find_end(tail)
    count, size, directory = _directory_place(file, tail_start + end, _END.unpack_from(tail, end))
    if size > LARGEST_DIRECTORY_BYTES:
        raise Corrupt(f"the central directory takes {size} bytes")
    content = (
        tail[directory - tail_start : directory - tail_start + size]
        if directory >= tail_start
        else file.read(directory, size)
    )
    records = _records(content, count, directory)
    roots = {record.full_name.partition("/")[0] for record in records.values()}
    if len(roots) != 1:
        raise Corrupt(f"the archive has {len(roots)} root folders")
    return Archive(file, records, roots.pop(), directory, tail[end + _END.size :])


def seal(digest: str) -> bytes:
    """The comment that seals an archive.

    Args:
        digest: SHA-256 of all bytes before the comment, in hexadecimal; or nothing, for a comment of the same length.
    """
    return _SEAL_PREFIX + digest.encode().rjust(64, b"0")


def is_sealed(archive: Archive) -> bool:
    """Whether the archive carries a seal, broken or not."""
    return _SEAL.fullmatch(archive.comment) is not None


def is_intact(archive: Archive) -> bool:
    """Whether every byte is as it was when the archive was sealed. Reads the whole file."""
    return archive.comment == seal(digest(archive.file, 0, archive.file.size - len(archive.comment)))


def digest(file: OpenFile, offset: int, count: int) -> str:
    """SHA-256 of `count` bytes from `offset`, in hexadecimal; in constant memory."""
    running = hashlib.sha256()
    for piece in file.chunks(offset, count):
        running.update(piece)
    return running.hexdigest()


def checksums(file: OpenFile, offset: int, count: int) -> tuple[str, int]:
    """SHA-256 in hexadecimal and CRC-32 of `count` bytes from `offset`; in constant memory."""
    running, crc = hashlib.sha256(), 0
    for piece in file.chunks(offset, count):
        running.update(piece)
        crc = zlib.crc32(piece, crc)
    return running.hexdigest(), crc


_LONGEST_TAIL = _END.size + _FULL_16


def _find_end(tail: bytes) -> int:
    end = tail.rfind(b"PK\5\6", 0, len(tail) - _END.size + 4)
    while end >= 0:
        if end + _END.size + _END.unpack_from(tail, end)[-1] == len(tail):
            return end
        end = tail.rfind(b"PK\5\6", 0, end)
    if tail.find(b"PK") < 0:
        raise Corrupt("is no zip archive")
    raise Corrupt("truncated — the end of the zip archive is not there")


def _directory_place(
    file: OpenFile, end: int, fields: tuple[bytes, int, int, int, int, int, int, int]
) -> tuple[int, int, int]:
    """Number of records, bytes and offset of the central directory."""
    _, disk, directory_disk, on_disk, count, size, directory, _ = fields
    directory_end = end
    locator = end - _LOCATOR64.size
    if locator >= 0 and (found := _LOCATOR64.unpack(file.read(locator, _LOCATOR64.size)))[0] == b"PK\6\7":
        directory_end = found[2]
        if directory_end + _END64.size > locator:
            raise Corrupt("the end of the central directory is damaged")
        signature, _, _, _, disk, directory_disk, on_disk, count, size, directory = _END64.unpack(
            file.read(directory_end, _END64.size)
        )
        if signature != b"PK\6\6":
            raise Corrupt("the end of the central directory is damaged")
    elif count == _FULL_16 or _FULL_32 in (size, directory):
        raise Corrupt("the end of the central directory is damaged")
    if disk or directory_disk or on_disk != count or directory + size != directory_end:
        raise Corrupt("the end of the central directory is damaged")
    return count, size, directory


def _records(content: bytes, count: int, directory: int) -> dict[str, Record]:
    records: dict[str, Record] = {}
    place = 0
    for _ in range(count):
        if place + _CENTRAL.size > len(content):
            raise Corrupt("the central directory is damaged: it is too short")
        (
            signature, _, _, flags, method, _, _, crc, stored, size, name_length, extra_length, comment_length,
            disk, _, _, header,
        ) = _CENTRAL.unpack_from(content, place)  # fmt: skip
        name_start = place + _CENTRAL.size
        extra_start = name_start + name_length
        place = extra_start + extra_length + comment_length
        if signature != b"PK\1\2" or place > len(content) or disk:
            raise Corrupt("the central directory is damaged")
        try:
            full_name = content[name_start:extra_start].decode()
        except UnicodeDecodeError:
            raise Corrupt("the central directory is damaged: a record's name is no text") from None
        if _FULL_32 in (stored, size, header):
            extra = content[extra_start : extra_start + extra_length]
            size, stored, header = _wide_fields(extra, size, stored, header)
        name = full_name.partition("/")[2]
        if not name or name in records:
            raise Corrupt(f"the central directory is damaged: record {full_name!r}")
        if method or flags & _ENCRYPTED or stored != size:
            raise Corrupt(f"record {name} is compressed or encrypted — torch stores records as they are")
        if header + _LOCAL.size + name_length + size > directory:
            raise Corrupt(f"record {name} reaches beyond the records")
        records[name] = Record(name, full_name, size, crc, header)
    if place != len(content):
        raise Corrupt("the central directory is damaged: it is too long")
    return records


def _wide_fields(extra: bytes, *fields: int) -> tuple[int, ...]:
    """Size, stored size and header's offset, each from the zip64 field where 32 bits do not hold it."""
    place = 0
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, place)
        content = extra[place + 4 : place + 4 + length]
        if kind == _ZIP64_FIELD:
            wide = [value for (value,) in struct.iter_unpack("<Q", content[: len(content) // 8 * 8])]
            if len(wide) < fields.count(_FULL_32):
                break
            return tuple(wide.pop(0) if field == _FULL_32 else field for field in fields)
        place += 4 + length
    raise Corrupt("the central directory is damaged: a size is missing")
