"""What is wrong with one file, before anybody knows which command mends it.

Defect             any code
├── Corrupt        FA009    the bytes are not those that were written
│   └── NotFetched          a pointer of git-lfs lies in the file's place
├── Unsafe         FA010    the pickle asks for more than tensors and plain values
├── Misnamed       FA012    the file is not called what its metadata demand
└── NewerFormat    FA017    a later version wrote it
"""


class Defect(Exception):  # noqa: N818 - what it carries becomes a finding
    """Something that makes a file unusable.

    Args:
        code: code of the finding, like FA009.
        message: what is wrong, in one line.
        tensor: the tensor that it is about.
    """

    def __init__(self, code: str, message: str, tensor: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.tensor = tensor


class Corrupt(Defect):
    """The bytes are not those that were written."""

    def __init__(self, message: str, tensor: str | None = None) -> None:
        super().__init__("FA009", message, tensor)


class NotFetched(Corrupt):
    """A pointer of git-lfs lies in the file's place."""

    def __init__(self) -> None:
        super().__init__("is a pointer of git-lfs and no checkpoint: the file itself was not fetched")


class Unsafe(Defect):
    """The pickle asks for anything but tensors and plain values."""

    def __init__(self, message: str) -> None:
        super().__init__("FA010", message)


class Misnamed(Defect):
    """The file is not called what its metadata demand.

    Args:
        demanded: the name that it should have.
    """

    def __init__(self, demanded: str) -> None:
        super().__init__("FA012", f"holds what belongs into {demanded}: it was renamed, swapped or copied")


class NewerFormat(Defect):
    """A later version of this package wrote the file.

    Args:
        problem: what tells.
    """

    def __init__(self, problem: str) -> None:
        super().__init__("FA017", f"written by a later version: {problem}")
