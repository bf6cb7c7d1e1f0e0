"""A diffusion pipeline that paints what adapters make of a sound: one picture a call, the same seed the same bits."""

import gc
import json
import struct
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from feda2v_cli.embedding.diffusion import PipelineDirectory
from feda2v_cli.engine.memory import is_out_of_memory
from feda2v_cli.errors import FailedError, MissingError, UsageError, first_line
from feda2v_cli.image.picture import Made
from feda2v_cli.profile.schema import ImagesSection

_TEXT_PARTS = ("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2")
#: Denoising steps and guidance where neither the user nor the pipeline says: those of diffusers, and of a FLUX without
#: distilled guidance (schnell), which is made for four steps.
_DEFAULTS = {"sd": (50, 7.5), "flux": (28, 3.5), "schnell": (4, 0.0)}
_BYTES = {"F64": 8, "F32": 4, "BF16": 2, "F16": 2, "F8_E4M3": 1, "F8_E5M2": 1}
#: Activations and buffers on a GPU beside the weights, at least.
_WORKING_BYTES = 1 << 30


class Painter:
    """A loaded pipeline, without its text encoders.

    Args:
        directory: of the pipeline.
        section: steps, guidance, size, numbers, offloading.
        device: where it computes.
        unconditional: embedding of the empty prompt by space, from which guidance leads away (Stable Diffusion); None
            takes zeros.

    Raises:
        MissingError: diffusers is not installed.
        UsageError: the size does not go with the pipeline, or there is nothing to offload from.
        FailedError: the pipeline cannot be loaded, or the GPU is too small for it.
    """

    def __init__(
        self,
        directory: PipelineDirectory,
        section: ImagesSection,
        device: torch.device,
        unconditional: Mapping[str, Tensor] | None = None,
    ) -> None:
        self._directory = directory
        self._device = device
        self._offload = section.offload
        self._dtype = _dtype(section.dtype, device)
        if section.offload and device.type == "cpu":
            raise UsageError(
                "images.offload — there is no GPU to offload from", hint="leave --offload out, or --device cuda"
            )
        kind = directory.kind
        if kind == "flux" and not directory.config("transformer").get("guidance_embeds", False):
            steps, guidance = _DEFAULTS["schnell"]
        else:
            steps, guidance = _DEFAULTS[kind]
        self.steps = section.steps or steps
        self.guidance = guidance if section.guidance is None else section.guidance
        self._unconditional = unconditional
        _check_gpu(directory, device, self._dtype, offload=section.offload)
        self._pipeline: Any = _load(directory, self._dtype)
        self.size = self._size(section.size)
        with self._memory("to load"):
            if section.offload:
                self._pipeline.enable_model_cpu_offload(device=device)
            else:
                self._pipeline.to(device)
        self._pipeline.set_progress_bar_config(disable=True)

    @property
    def origin(self) -> dict[str, str]:
        """Everything about it that changes a picture."""
        return {
            "pipeline": self._directory.short_name,
            "steps": str(self.steps),
            "guidance": f"{self.guidance:g}",
            "size": str(self.size),
            "dtype": str(self._dtype).removeprefix("torch."),
        }

    @property
    def description(self) -> str:
        """Which pipeline this is."""
        numbers = str(self._dtype).removeprefix("torch.")
        where = f"{self._device.type}, offloaded" if self._offload else self._device.type
        return (
            f"pictures: {self._directory.name} ({self._directory.kind}), {self.steps} steps, guidance "
            f"{self.guidance:g}, {self.size} x {self.size}, {numbers} on {where}"
        )

    def check(self, shapes: Mapping[str, tuple[int, ...]], whose: str) -> None:
        """Refuse embeddings of other spaces or shapes than the denoiser takes.

        Raises:
            UsageError: they are.
        """
        self._directory.check(dict(shapes), whose)

    @torch.inference_mode()
    def make(self, point: Mapping[str, Tensor], centre: Mapping[str, Tensor], seed: int) -> Made:  # noqa: ARG002
        """Paint one picture.

        Args:
            point: prompt embedding by space, float32 [*shape].
            centre: not needed.
            seed: of the noise that it starts from.

        Raises:
            FailedError: memory does not suffice.
        """
        self.check({space: tuple(values.shape) for space, values in point.items()}, "these embeddings")
        # One picture a call with a generator of its own: in a batch the last bits depend on the company. On the CPU, so
        # that every device starts from the same noise.
        options: dict[str, Any] = {
            "generator": torch.Generator("cpu").manual_seed(seed),
            "num_inference_steps": self.steps,
            "guidance_scale": self.guidance,
            "height": self.size,
            "width": self.size,
        }
        batch = {space: self._ready(values) for space, values in point.items()}
        if self._directory.kind == "flux":
            options |= {"prompt_embeds": batch["t5"], "pooled_prompt_embeds": batch["clip"]}
        else:
            options["prompt_embeds"] = batch["clip"]
            if self.guidance > 1:
                empty = None if self._unconditional is None else self._unconditional["clip"]
                options["negative_prompt_embeds"] = (
                    torch.zeros_like(batch["clip"]) if empty is None else self._ready(empty)
                )
        with self._memory(f"to paint {self.size} x {self.size}"):
            output = self._pipeline(**options)
        flagged = bool((getattr(output, "nsfw_content_detected", None) or [False])[0])
        return Made(output.images[0], {"flagged": True} if flagged else {})

    def close(self) -> None:
        """Let go of the pipeline's memory."""
        self._pipeline = None
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _ready(self, values: Tensor) -> Tensor:
        """[*shape] → [1, *shape], in the pipeline's numbers and where it computes."""
        return values[None].to(self._device, self._dtype)

    def _size(self, wanted: int | None) -> int:
        scale = int(self._pipeline.vae_scale_factor)
        step = scale * 2 if self._directory.kind == "flux" else max(scale, 1)
        if self._directory.kind == "flux":
            own = int(self._pipeline.default_sample_size) * scale
        else:
            own = int(self._pipeline.unet.config.sample_size) * scale
        size = wanted or own
        if size % step:
            near = max(step, round(size / step) * step)
            raise UsageError(
                f"images.size = {size} — {self._directory.name} paints multiples of {step} pixels",
                hint=f"--size {near}",
            )
        return size

    def _memory(self, purpose: str) -> "_MemoryErrors":
        return _MemoryErrors(purpose, self._directory, self._device)


class _MemoryErrors:
    """Says what would fit when memory runs out within."""

    def __init__(self, purpose: str, directory: PipelineDirectory, device: torch.device) -> None:
        self._purpose, self._directory, self._device = purpose, directory, device

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, RuntimeError | MemoryError) and is_out_of_memory(error):
            raise FailedError(
                f"memory of {self._device} does not suffice {self._purpose} with {self._directory.name}",
                [first_line(error)],
                hint=_SMALLER,
            ) from error


_SMALLER = "what takes less: --dtype bfloat16 --offload, and a smaller --size"


def _dtype(name: str, device: torch.device) -> torch.dtype:
    if name == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    dtype: torch.dtype = getattr(torch, name)
    if dtype == torch.float16 and device.type == "cpu":
        raise UsageError("images.dtype = float16 — a CPU has no such arithmetic", hint="--dtype bfloat16")
    return dtype


def _load(directory: PipelineDirectory, dtype: torch.dtype) -> Any:
    diffusers = diffusers_for(directory.name)
    kind = diffusers.FluxPipeline if directory.kind == "flux" else diffusers.StableDiffusionPipeline
    absent = {part: None for part in _TEXT_PARTS if part in directory.index}
    try:
        return kind.from_pretrained(directory.path, local_files_only=True, dtype=dtype, **absent)
    except Exception as error:  # diffusers raises whatever its parts raise on a broken file
        if isinstance(error, RuntimeError | MemoryError) and is_out_of_memory(error):
            raise FailedError(f"memory does not suffice to load {directory.name}", hint=_SMALLER) from error
        raise FailedError(
            f"images.pipeline = {directory.name} cannot be loaded — {first_line(error)}", [str(directory.path)]
        ) from error


def diffusers_for(name: str) -> Any:
    """The package diffusers.

    Raises:
        MissingError: it is not installed.
    """
    try:
        diffusers: Any = import_module("diffusers")
        import_module("accelerate")
    except ImportError as error:
        raise MissingError(
            f"images.pipeline = {name} needs diffusers, which is not installed",
            [first_line(error)],
            hint="pip install 'feda2v[images]'",
        ) from error
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    return diffusers


def weight_bytes(directory: PipelineDirectory, dtype: torch.dtype) -> dict[str, int]:
    """Bytes of each part's weights in other numbers, text encoders left out, from the heads of their files.

    Args:
        directory: of the pipeline.
        dtype: the numbers.
    """
    width = torch.empty(0, dtype=dtype).element_size()
    sizes = {}
    for part in directory.index:
        files = sorted((directory.path / part).glob("*.safetensors")) if part not in _TEXT_PARTS else []
        if files:
            sizes[part] = sum(_elements(file) for file in files) * width
    return sizes


def _elements(path: Path) -> int:
    with suppress(OSError, ValueError, struct.error), path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        tensors = json.loads(file.read(min(length, 1 << 26)))
        ends = [(tensor["data_offsets"], tensor["dtype"]) for key, tensor in tensors.items() if key != "__metadata__"]
        return sum((end - start) // _BYTES.get(kind, 4) for (start, end), kind in ends)
    return 0


def _check_gpu(directory: PipelineDirectory, device: torch.device, dtype: torch.dtype, *, offload: bool) -> None:
    """Tell before loading that a pipeline does not fit."""
    if device.type != "cuda":
        return
    free, total = torch.cuda.mem_get_info(device)
    refuse_too_large(weight_bytes(directory, dtype), free, total, directory.name, dtype, offload=offload)


def refuse_too_large(
    parts: Mapping[str, int], free: int, total: int, name: str, dtype: torch.dtype, *, offload: bool
) -> None:
    """Refuse a pipeline that a GPU cannot hold, and say what fits.

    Args:
        parts: bytes of the weights by part.
        free: bytes of the GPU that nobody uses.
        total: bytes of the GPU.
        name: of the pipeline.
        dtype: numbers of the weights.
        offload: whether only one part is on the GPU at a time.

    Raises:
        FailedError: it is too large.
    """
    needed = (max(parts.values(), default=0) if offload else sum(parts.values())) + _WORKING_BYTES
    if needed <= free:
        return
    width = torch.empty(0, dtype=dtype).element_size()
    halved = 2 / width if width > 2 else 1.0
    choices = {
        "--dtype bfloat16": sum(parts.values()) * halved,
        "--offload": max(parts.values()),
        "--dtype bfloat16 --offload": max(parts.values()) * halved,
    }
    fits = [words for words, size in choices.items() if size + _WORKING_BYTES <= free]
    raise FailedError(
        f"the GPU is too small for {name}: {needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} of {total / 1e9:.1f} GB "
        "are free",
        [f"{part} {size / 1e9:.1f} GB" for part, size in parts.items()],
        hint=f"what fits: {fits[0]}" if fits else "--device cpu, a smaller pipeline, or a gallery: --gallery DIR",
    )
