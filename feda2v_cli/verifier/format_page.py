"""The tables of docs/checkpoint-format.md, made from the code that reads checkpoints; the prose is written there.

Make them again with `python -m feda2v_cli.verifier.format_page docs/checkpoint-format.md`.
"""

import inspect
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from feda2v_cli.checkpoint.content import LARGEST_METADATA_BYTES, LARGEST_PICKLE_BYTES
from feda2v_cli.checkpoint.format.archive import LARGEST_DIRECTORY_BYTES
from feda2v_cli.checkpoint.format.pickled import MOST_INSTRUCTIONS, STEPS
from feda2v_cli.checkpoint.format.references import CALLS, ELEMENT_BYTES, STORAGE_DTYPES
from feda2v_cli.checkpoint.metadata import KINDS, Metadata, fields_of
from feda2v_cli.checkpoint.name import LONGEST_NAME_BYTES
from feda2v_cli.verifier.codes import CODES

_TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
#: An attribute in a docstring: its name, and what is said of it over one or more lines.
_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n     +.*)*)", re.MULTILINE)
_PLURALS = {str: "texts", int: "integers", float: "numbers", Any: "plain values"}
_WORDS = {str: "text", int: "integer", float: "number", bool: "true or false", Any: "plain value"}


def with_tables(page: str) -> str:
    """The page with every table as the code has it today.

    Raises:
        KeyError: the page asks for a table that there is not.
    """
    tables = {
        **{kind: _fields(metadata) for kind, metadata in KINDS.items()},
        "kinds": _kinds(),
        "names": _names_in_pickles(),
        "elements": _elements(),
        "instructions": _instructions(),
        "limits": _limits(),
        "findings": _findings(),
    }
    return _TABLE.sub(lambda found: f"{found[1]}{tables[found[2]]}{found[3]}", page)


def _table(*rows: tuple[object, ...]) -> str:
    heading, *others = (f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in row)} |\n" for row in rows)
    return "".join([heading, "|" + "---|" * len(rows[0]) + "\n", *others])


def _kinds() -> str:
    rows = ((f"`{kind}`", f"`{metadata.state_key}`") for kind, metadata in KINDS.items())
    return _table(("kind", "key of the tensors in the pickle"), *rows)


def _fields(metadata: type[Metadata]) -> str:
    meanings = dict(_ATTRIBUTE.findall(inspect.getdoc(metadata) or ""))
    rows = ((f"`{name}`", _type_words(hint), _said(meanings[name])) for name, hint in fields_of(metadata.kind).items())
    return _table(("field", "type", "meaning"), *rows)


def _said(meaning: str) -> str:
    """What a docstring says of a field, in the words of JSON."""
    return re.sub(r"\bNone\b", "null", re.sub(r"\s+", " ", meaning)).rstrip(".")


def _type_words(hint: Any) -> str:
    """A field's type as JSON has it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(f"`{word}`" for word in arguments)
    if origin is types.UnionType:
        return f"{_type_words(arguments[0])} or null"
    if origin is dict and get_origin(arguments[1]) is tuple:
        return f"object of lists of {_PLURALS[get_args(arguments[1])[0]]}"
    if origin is dict:
        return f"object of {_PLURALS[arguments[1]]}"
    if origin is tuple:
        count = "" if arguments[-1] is Ellipsis else f"{len(arguments)} "
        return f"list of {count}{_PLURALS[arguments[0]]}"
    return _WORDS[hint]


def _names_in_pickles() -> str:
    calls = ((f"`{asked}`", "call") for asked in CALLS if asked.name != "UntypedStorage")
    storages = ((f"`torch.{name}`", f"storage of {dtype}") for name, dtype in STORAGE_DTYPES.items())
    return _table(("name", "what it is"), *calls, *storages, ("`torch.storage.UntypedStorage`", "storage of bytes"))


def _elements() -> str:
    return _table(("type", "bytes of an element"), *((f"`{name}`", size) for name, size in ELEMENT_BYTES.items()))


def _instructions() -> str:
    return f"{', '.join(f'`{name}`' for name in STEPS)}.\n"


def _limits() -> str:
    return _table(
        ("what", "at most"),
        ("file name", f"{LONGEST_NAME_BYTES} bytes"),
        ("central directory of the archive", f"{LARGEST_DIRECTORY_BYTES >> 20} MiB"),
        ("`feda2v/metadata.json`", f"{LARGEST_METADATA_BYTES >> 20} MiB"),
        ("`data.pkl`", f"{LARGEST_PICKLE_BYTES >> 20} MiB and {MOST_INSTRUCTIONS:,} instructions"),
    )


def _findings() -> str:
    def rows() -> Iterator[tuple[object, ...]]:
        for code, meaning in CODES.items():
            severity = "warning" if meaning.is_warning else "tolerable error" if meaning.tolerable else "error"
            yield code, f"`{meaning.name}`", severity, meaning.meaning

    return _table(("code", "name", "severity", "when"), *rows())


if __name__ == "__main__":
    document = Path(sys.argv[1])
    document.write_text(with_tables(document.read_text(encoding="utf-8")), encoding="utf-8")
