"""Findings: what the verifier says of checkpoints, by codes that never change their meaning."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any, Literal, Self

from feda2v_cli.atomic_write import is_leftover
from feda2v_cli.checkpoint.defect import Defect
from feda2v_cli.checkpoint.name import SUFFIX
from feda2v_cli.errors import FailedError
from feda2v_cli.run.event import Found
from feda2v_cli.verifier.codes import CODES

#: Findings that an error names beside the first.
_MOST_DETAILS = 10
Severity = Literal["error", "warning"]


def printable(text: str) -> str:
    r"""The same text with whatever a terminal would not show escaped.

    >>> printable("caf\u00e9\x1b[2J")
    'caf\u00e9\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        code: like FA009.
        path: the file or directory that it is about.
        message: what is wrong, in one line.
        tensor: the tensor that it is about.
        hint: the command that mends it.
        lenient: whether it is only a warning to a run that can live with it.
    """

    code: str
    path: str
    message: str
    tensor: str | None = None
    hint: str | None = None
    lenient: bool = False

    @classmethod
    def of(cls, path: Path, defect: Defect, hint: str | None = None) -> Self:
        """What is wrong with one file, and the command that mends it."""
        return cls(defect.code, str(path), defect.message, defect.tensor, hint)

    @property
    def name(self) -> str:
        """The code in words."""
        return CODES[self.code].name

    @property
    def severity(self) -> Severity:
        """Whether a run can go on."""
        meaning = CODES[self.code]
        return "warning" if meaning.is_warning or (self.lenient and meaning.tolerable) else "error"

    @property
    def directory(self) -> str:
        """The directory that it is about."""
        path = PurePath(self.path)
        return str(path.parent) if path.suffix == SUFFIX or is_leftover(path.name) else self.path

    @property
    def is_error(self) -> bool:
        """Whether it makes the verifier fail."""
        return self.severity == "error"

    def as_lenient(self) -> Self:
        """The same finding for a run that can live with it."""
        return replace(self, lenient=True)

    def event(self) -> Found:
        """What a run says of it that goes on all the same."""
        told = self.to_dict()
        del told["tensor"]
        return Found(printable(f"{self.path} {self.message} ({self.code})"), **told)

    def to_dict(self) -> dict[str, Any]:
        """Its fields as the command prints them under --json."""
        return {
            "code": self.code,
            "name": self.name,
            "severity": self.severity,
            "path": printable(self.path),
            "tensor": self.tensor and printable(self.tensor),
            "message": printable(self.message),
            "hint": self.hint and printable(self.hint),
        }


def most_serious_first(findings: Sequence[Finding]) -> list[Finding]:
    """Findings with errors before warnings, then by code and path."""
    return sorted(findings, key=lambda found: (not found.is_error, found.code, found.path, found.message))


class FindingsError(FailedError):
    """Checkpoints were refused; `findings` says why, and the most serious one's code is the error's.

    Args:
        findings: at least one.
    """

    def __init__(self, findings: Sequence[Finding]) -> None:
        first, *others = most_serious_first(findings)
        super().__init__(
            printable(f"{first.path} {first.message}"),
            [printable(f"{finding.path} {finding.message} ({finding.code})") for finding in others[:_MOST_DETAILS]]
            + ([f"and {len(others) - _MOST_DETAILS} more"] if len(others) > _MOST_DETAILS else []),
            hint=first.hint and printable(first.hint),
        )
        self.code = first.code
        self.findings = (first, *others)
