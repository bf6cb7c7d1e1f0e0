"""What this machine has: its device and its memory, and what every run takes of it."""

import torch

from feda2v_cli.errors import MissingError

#: What a process holds that has imported PyTorch and trains next to nothing (measured on Linux, CPU).
BASELINE_BYTES = 620 * 1024**2
#: Bytes of a checkpoint beside its tensors: headers, alignment and the metadata, which are there twice.
CHECKPOINT_OVERHEAD_BYTES = 16 * 1024


def choose_device(name: str) -> torch.device:
    """The device that a name means; `auto` is a GPU when there is one.

    Raises:
        MissingError: the machine has no such device.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device("cuda" if there["cuda"] else "mps" if there["mps"] else "cpu")
    if not there[name]:
        raise MissingError(
            f"--device {name} — PyTorch finds no such device on this machine",
            [f"there is {', '.join(device for device, found in there.items() if found)}"],
            hint="--device auto",
        )
    return torch.device(name)


def device_name(device: torch.device) -> str:
    """What a device is called by those who made it, like `NVIDIA H100 80GB HBM3`; `cpu` and `mps` stay so."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
