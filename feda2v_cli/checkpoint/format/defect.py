"""What is wrong with one file, before anybody knows which command mends it."""


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


class Unsafe(Defect):
    """The pickle asks for anything but tensors and plain values."""

    def __init__(self, message: str) -> None:
        super().__init__("FA010", message)
