"""The command `feda2v targets`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from feda2v_cli.cli.options import ConsoleOptions, Device, Force, ProfileOptions, Sets, takes_options
from feda2v_cli.cli.output import command_output
from feda2v_cli.cli.tables import share, table

EXAMPLES = """\b
Examples:
  feda2v targets --pipeline stable-diffusion-v1-5 -o targets.pt
  feda2v targets --encoder all-MiniLM-L6-v2 -o targets.pt
  feda2v targets --pipeline org/FLUX.1-schnell --download -o targets.pt
  feda2v federate --set adapter.targets=targets.pt
"""

Download = Annotated[
    bool, typer.Option("--download", help="Fetch models that are not here; sizes are said.", show_default=False)
]
PipelineName = Annotated[
    str | None,
    typer.Option(
        "--pipeline",
        metavar="NAME",
        help="FLUX.1 or Stable Diffusion 1.x of diffusers.",
        show_default="images.pipeline",
    ),
    Sets("images.pipeline"),
]


@dataclass(frozen=True)
class TargetOptions:
    """Which text encoder, and what it reads."""

    pipeline: PipelineName = None
    encoder: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A text encoder of Hugging Face.", show_default="adapter.targets"),
        Sets("adapter.targets"),
    ] = None
    prompt: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="What it reads, like 'a photo of a {class}'.", show_default="adapter.prompt"),
        Sets("adapter.prompt"),
    ] = None
    device: Device = None


@takes_options
def targets(
    *,
    profile: ProfileOptions,
    target: TargetOptions,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The dictionary file.", show_default="none")
    ] = None,
    download: Download = False,
    force: Force = False,
    console: ConsoleOptions,
) -> None:
    """What adapters learn: targets by text encoders.

    Writes them as a dictionary file, so that nodes need no text encoder: --set adapter.targets=FILE. Says how near the
    classes lie to each other: those a run will confuse. With --pipeline they are what that pipeline takes.
    """
    with command_output("targets", console) as out:
        from feda2v_cli.job.targets import class_targets

        if target.pipeline is not None and target.encoder is None:
            target = replace(target, encoder="pipeline")
        loaded = profile.load("use_pretrained", target)
        made = class_targets(loaded, output, force=force, download=download, tell=out.note)
        classes = table("class", "nearest", right=("cosine",))
        for name, (near, cosine) in zip(made.classes, made.nearest, strict=True):
            classes.add_row(name, near or "", share(cosine))
        pairs = ", ".join(f"{one} and {two} {cosine:.2f}" for one, two, cosine in made.worst)
        shapes = ", ".join(f"{space} {list(values.shape[1:])}" for space, values in made.targets.spaces.items())
        written = f"; written to {made.path}" if made.path else "; -o FILE writes them"
        out.result(
            made.to_dict(),
            classes,
            *([f"nearest pairs, which a run will confuse first: {pairs}"] if pairs else []),
            f"{len(made.classes)} classes, {shapes}{written}",
        )
