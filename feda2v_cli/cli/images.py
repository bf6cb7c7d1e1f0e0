"""The command `feda2v images`."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from feda2v_cli.cli.options import (
    FROM_PROFILE,
    ConsoleOptions,
    Device,
    NodeIds,
    ProfileOptions,
    Seed,
    Sets,
    SkipUnreadable,
    node_ids,
    takes_options,
    words_in,
)
from feda2v_cli.cli.output import command_output
from feda2v_cli.cli.tables import share, table
from feda2v_cli.cli.targets import Download, PipelineName
from feda2v_cli.counted import counted
from feda2v_cli.errors import UsageError, closest

if TYPE_CHECKING:
    from rich.table import Table

    from feda2v_cli.job.images.run import Pictures

EXAMPLES = """\b
Examples:
  feda2v images --pipeline stable-diffusion-v1-5
  feda2v images --gallery photos --targets all-MiniLM-L6-v2 -o pictures
  feda2v images --pipeline FLUX.1-schnell --dtype bfloat16 --offload
  feda2v images --pipeline FLUX.1-schnell --audio bark.wav --from adapters
  feda2v images --pipeline stable-diffusion-v1-5 --score clip-vit-large-patch14
"""


@dataclass(frozen=True)
class PictureOptions:
    """What paints or finds the pictures, and how."""

    pipeline: PipelineName = None
    gallery: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Find pictures there; paint none.", show_default="images.gallery"),
        Sets("images.gallery", str),
    ] = None
    targets: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Text encoder or dictionary file.", show_default="the adapters'"),
        Sets("adapter.targets"),
    ] = None
    per_class: Annotated[
        int | None,
        typer.Option(metavar="N", help="Clips of a class.", show_default=FROM_PROFILE),
        Sets("images.per_class"),
    ] = None
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", help="Denoising steps.", show_default="the pipeline's"),
        Sets("images.steps"),
    ] = None
    guidance: Annotated[
        float | None,
        typer.Option(metavar="X", help="Guidance scale.", show_default="the pipeline's"),
        Sets("images.guidance"),
    ] = None
    size: Annotated[
        int | None,
        typer.Option(metavar="N", help="Pixels of a side.", show_default="the pipeline's"),
        Sets("images.size"),
    ] = None
    dtype: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="auto, float32, bfloat16 or float16.", show_default=FROM_PROFILE),
        Sets("images.dtype"),
    ] = None
    offload: Annotated[
        bool, typer.Option("--offload", help="Only the part that computes is on the GPU.", show_default=False),
        Sets("images.offload"),
    ] = False  # fmt: skip
    seed: Seed = None
    device: Device = None
    skip_unreadable: SkipUnreadable = False


@takes_options
def images(
    adapters: Annotated[
        Path | None,
        typer.Argument(metavar="ADAPTERS", help="A file or a directory.", show_default="checkpoints/adapters"),
    ] = None,
    *,
    profile: ProfileOptions,
    pictures: PictureOptions,
    classes: Annotated[
        str | None, typer.Option(metavar="dog,cow", help="Only clips of these.", show_default="all classes")
    ] = None,
    nodes: NodeIds = None,
    audio: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="A sound of your own.", show_default=False)
    ] = None,
    source: Annotated[
        str, typer.Option("--from", metavar="NAME", help="adapters, targets (what they should hit) or both.")
    ] = "both",
    score: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="A CLIP that says if they show the class.", show_default="no score"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Where pictures go.", show_default="the run's images/"),
    ] = None,
    download: Download = False,
    resume: Annotated[bool, typer.Option("--resume", help="Make what is missing.", show_default=False)] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite, and paint with any adapters.", show_default=False)
    ] = False,
    console: ConsoleOptions,
) -> None:
    """From sound to picture: painted or found.

    Verified adapters of RUN 2 take held-out clips, or --audio, to what a diffusion pipeline takes, or to the nearest
    pictures of a gallery. Writes PNGs that say where they come from, images.json and contact.png. Without --profile,
    split, encoder and targets are those that the adapters name.
    """
    with command_output("images", console) as out:
        from feda2v_cli.cli.progress import Progress
        from feda2v_cli.job.images.plan import ImagesRequest
        from feda2v_cli.job.images.run import images as make_images
        from feda2v_cli.job.images.wanted import Source

        sources = get_args(Source)
        if source not in sources:
            near = closest(source, sources)
            raise UsageError(
                f"--from {source} — expected one of {', '.join(sources)}", hint=f"--from {near or sources[0]}"
            )
        request = ImagesRequest(
            adapters=adapters,
            classes=tuple(words_in(classes)) if classes else (),
            audio=tuple(audio or ()),
            source=cast("Source", source),
            score=score,
            output=output,
            resume=resume,
            force=force,
            download=download,
        )
        loaded = profile.load("use_pretrained", pictures)
        with Progress(out) as progress:
            done = make_images(loaded, request, node_ids=node_ids(nodes), command=sys.argv[1:], listener=progress.show)
        out.result(done.to_dict(), *_tables(done))


def _tables(done: "Pictures") -> list["Table | str"]:
    tables: list[Table | str] = []
    if done.gallery:
        made = table("of", right=("clips", "recall@1", "chance", "recall@5", "chance"))
        for source, figures in done.gallery.items():
            values = (figures[f"{name}_at_{k}"] for k in (1, 5) for name in ("recall", "chance"))
            made.add_row(_WORDS[source], str(figures["clips"]), *map(share, values))
        tables += [made, ""]
    if done.score:
        made = table("of", right=("pictures", "accuracy", "balanced", "macro F1", "CLIP score"))
        for source, figures in done.score.items():
            names = ("accuracy", "balanced_accuracy", "macro_f1")
            score = f"{figures['clip_score']:.1f}"
            made.add_row(_WORDS[source], str(figures["pictures"]), *(share(figures[name]) for name in names), score)
        tables += [made, ""]
    heard = "" if done.retrieval is None else f"; {done.retrieval:.3f} of the clips heard as their class"
    kept = len(done.pictures) - done.made
    there = f", {kept} were there" if kept else ""
    return [
        *tables,
        f"{counted(done.made, 'picture')} made{there}{heard}, in {done.seconds:.1f} s; run {done.run_dir}",
        str(done.contact_sheet),
    ]


_WORDS = {
    "adapter": "what adapters make of sounds",
    "target": "the classes' true targets",
    "shuffled": "pictures paired at random",
}
