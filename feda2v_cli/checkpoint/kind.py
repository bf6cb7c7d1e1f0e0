"""What kind of model a checkpoint of this package holds."""

from feda2v_cli.checkpoint.archive import Archive
from feda2v_cli.checkpoint.content import LARGEST_METADATA_BYTES, METADATA_RECORD

ADAPTER_KIND = "adapter"


def is_adapter(archive: Archive) -> bool:
    """Whether a checkpoint holds adapters. Reads no more than the metadata record."""
    record = archive.records.get(METADATA_RECORD)
    if record is None or record.size > LARGEST_METADATA_BYTES:
        return False
    return archive.content(record).startswith(b'{"kind":"%s",' % ADAPTER_KIND.encode())
