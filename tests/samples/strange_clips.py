"""Clips that do to a decoder what broken files may do. Here, where a process that is started finds them."""

import os

from feda2v_cli.data.builtin import BuiltinClip
from feda2v_cli.data.clip import UnreadableClipError, Waveform


class CrashingClip(BuiltinClip):
    """Brings down the process that decodes it."""

    def decode(self, content: bytes) -> Waveform:  # noqa: ARG002
        os.kill(os.getpid(), 11)
        raise AssertionError


class SilentClip(BuiltinClip):
    """Cannot be used, with a reason that is no UTF-8."""

    def decode(self, content: bytes) -> Waveform:  # noqa: ARG002
        raise UnreadableClipError(self.place, "it is silent \udcff")
