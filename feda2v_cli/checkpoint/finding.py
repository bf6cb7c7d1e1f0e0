"""Findings: what the verifier says of checkpoints, by a code that never changes its meaning."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from feda2v_cli.errors import FailedError

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        code: like FA009.
        path: the file or directory that it is about.
        message: what is wrong, in one line.
        tensor: the tensor that it is about.
        hint: the command that mends it.
        severity: error or warning.
    """

    code: str
    path: str
    message: str
    tensor: str | None = None
    hint: str | None = None
    severity: Severity = "error"


class FindingsError(FailedError):
    """Checkpoints were refused; `findings` says why, and the first one's code is the error's."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        first = findings[0]
        super().__init__(
            f"{first.path} — {first.message}",
            [f"{finding.path} — {finding.message} ({finding.code})" for finding in findings[1:]],
            hint=first.hint,
        )
        self.code = first.code
        self.findings = tuple(findings)
