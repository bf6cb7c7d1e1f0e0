"""`feda2v images`: pictures of what clips sound like, by verified adapters."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from feda2v_cli.errors import FailedError, OverwriteError
from feda2v_cli.image.adapter_output import similarities
from feda2v_cli.image.album import Drawn, Wanted, draw
from feda2v_cli.job.images.plan import ImagesPlan, ImagesRequest, plan_images
from feda2v_cli.job.images.report import LIST, SHEET, recalls, scores, write_list, write_sheet
from feda2v_cli.job.images.subjects import Subject, embed_subjects, standardised
from feda2v_cli.job.images.wanted import of_adapters, of_targets
from feda2v_cli.profile.load import LoadedProfile, load_profile, resolved_toml
from feda2v_cli.run.directory import RunDirectory
from feda2v_cli.run.event import Listener, Noted, PictureMade, PicturesScored, RunStarted, Warned, ignore_event


@dataclass(frozen=True)
class Pictures:
    """Pictures that are there.

    Attributes:
        run_dir: of the run that made them.
        directory: of the pictures.
        contact_sheet: all classes on one page.
        pictures: one object a picture, as in images.json.
        made: how many were made now; the others were there.
        maker: what made them: pipeline or gallery, and its settings.
        retrieval: share of clips whose adapter's output lies nearest to their class's target; None without targets.
        gallery: recall in a gallery, of adapters and of targets, beside chance; empty for a pipeline.
        score: by CLIP, of adapters, true targets (ceiling) and shuffled pairs (floor); empty without.
        seconds: from start to end, of this process.
    """

    run_dir: Path
    directory: Path
    contact_sheet: Path
    pictures: list[dict[str, Any]]
    made: int
    maker: dict[str, str]
    retrieval: float | None
    gallery: dict[str, dict[str, float]] = field(default_factory=dict)
    score: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        paths = {name: str(getattr(self, name)) for name in ("run_dir", "directory", "contact_sheet")}
        return asdict(self) | paths

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What was kept of pictures."""
        paths = {name: Path(values[name]) for name in ("run_dir", "directory", "contact_sheet")}
        return cls(**(dict(values) | paths))


def images(
    profile: LoadedProfile | str = "use_pretrained",
    request: ImagesRequest | None = None,
    *,
    node_ids: Sequence[int] | None = None,
    command: Sequence[str] = ("images",),
    listener: Listener = ignore_event,
) -> Pictures:
    """Make pictures of what clips sound like.

    Args:
        profile: a loaded profile, or the name or path of one; what the adapters say of themselves beats it.
        request: what is asked for beside it.
        node_ids: nodes whose clips are taken; None for all.
        command: words of the command line, for the run directory and for hints.
        listener: is told what happens.

    Raises:
        MissingError: adapters, data, weights, a package or clips are not there.
        UsageError: what is asked for contradicts itself, or the pipeline takes no such embeddings.
        FindingsError: an adapter is not sound, or of another audio encoder.
        OverwriteError: the directory holds pictures.
        FailedError: a model cannot be used, memory does not suffice, a file cannot be written.
        RunInterrupted: Ctrl-C or SIGTERM; the pictures that are there stay.
    """
    started = time.monotonic()
    loaded = load_profile(profile) if isinstance(profile, str) else profile
    request = request or ImagesRequest()
    plan = plan_images(
        loaded,
        request,
        node_ids,
        tell=lambda text: listener(Noted(text)),
        warn=lambda text: listener(Warned(text)),
    )
    key = _run_key(plan, request)
    experiment = plan.profile.experiment
    earlier = RunDirectory.latest(experiment.runs, key) if request.resume else None
    output = request.output or (None if earlier is None else earlier.path / "images")
    if output is not None:
        _refuse_to_overwrite(output, request)
    run = earlier or RunDirectory.create(
        experiment.runs,
        "images",
        command=["feda2v", *command],
        key=key,
        profile=loaded.text,
        resolved=resolved_toml(loaded),
    )
    with run.recording(command, listener) as emit:
        emit(RunStarted(str(run.path)))
        emit(Noted(plan.encoder.description))
        made = _make(plan, request, run.path, output or run.path / "images", emit, started)
        run.finish("done", made.to_dict())
    return made


def _make(
    plan: ImagesPlan, request: ImagesRequest, run_dir: Path, directory: Path, emit: Listener, started: float
) -> Pictures:
    subjects = embed_subjects(plan.chosen, plan.encoders, plan.profile, emit)
    wanted = _wanted(plan, subjects)
    _make_directory(directory)
    if request.force and not request.resume:
        for one in wanted:
            (directory / one.file).unlink(missing_ok=True)
    maker = plan.maker.load()
    try:
        emit(Noted(maker.description))
        if plan.source != "targets":
            maker.check(plan.adapters[0].shapes, f"the adapters of {plan.adapters[0].path}")
        drawn = draw(wanted, maker, _centre(plan), directory, _progress(emit, len(wanted)))
        found = recalls(drawn, maker)
        origin = dict(maker.origin)
    finally:
        maker.close()
    for picture in drawn:
        if picture.details.get("flagged"):
            emit(Warned(f"{picture.path} is black: the pipeline's safety checker took it away"))
    heard = _heard(plan, subjects)
    scored = {}
    if plan.clip_model is not None:
        scored = scores(drawn, plan.classes, plan.clip_model, plan.profile.experiment.seed)
    if found or scored:
        emit(PicturesScored(None, {"gallery": found, "score": scored}))
    write_sheet(directory / SHEET, drawn, subjects, plan.encoder.seconds, heard)
    of_class = [subject for subject in subjects if subject.class_name is not None]
    right = [heard.get(subject.clip.name) == subject.class_name for subject in of_class]
    result = Pictures(
        run_dir=run_dir,
        directory=directory,
        contact_sheet=directory / SHEET,
        pictures=[one.to_dict() | _heard_of(one, heard) for one in drawn],
        made=sum(one.fresh for one in drawn),
        maker=origin,
        retrieval=sum(right) / len(right) if right and heard else None,
        gallery=found,
        score=scored,
        seconds=time.monotonic() - started,
    )
    write_list(directory / LIST, result.to_dict())
    return result


def _wanted(plan: ImagesPlan, subjects: Sequence[Subject]) -> list[Wanted]:
    seed = plan.profile.experiment.seed
    wanted: list[Wanted] = []
    if plan.source != "targets":
        for adapters in plan.adapters:
            own = _subjects_of(adapters.metadata.node_id, subjects)
            if own:
                values = standardised(own, adapters.metadata.node_id, adapters.standardisation)
                wanted += of_adapters(own, adapters.heads, values, adapters.owner, adapters.digest, seed)
    if plan.source != "adapters" and plan.targets is not None:
        wanted += of_targets(subjects, plan.classes, plan.targets.spaces, seed)
    if not wanted:
        raise FailedError(
            "there is nothing to make a picture of",
            ["files of --audio have no class, and so no true target"],
            hint="--from adapters",
        )
    return wanted


def _subjects_of(node: int | None, subjects: Sequence[Subject]) -> list[Subject]:
    """The server makes pictures of all clips, a node of its own, and everybody of the user's own files."""
    if node is None:
        return list(subjects)
    return [subject for subject in subjects if not subject.holders or node in subject.holders]


def _centre(plan: ImagesPlan) -> dict[str, Tensor]:
    """Mean target by space, of those that the pictures are made of."""
    if plan.source != "targets" or plan.targets is None:
        return plan.adapters[0].centre
    return {space: values.mean(0) for space, values in plan.targets.spaces.items()}


def _heard(plan: ImagesPlan, subjects: Sequence[Subject]) -> dict[str, str]:
    """By clip, the class whose true target is nearest to what the first adapters make of it."""
    if plan.targets is None:
        return {}
    heard: dict[str, str] = {}
    for adapters in plan.adapters:
        own = _subjects_of(adapters.metadata.node_id, subjects)
        points = {space: plan.targets.spaces.get(space) for space in adapters.heads}
        if not own or any(
            values is None or tuple(values.shape[1:]) != adapters.shapes[space] for space, values in points.items()
        ):
            continue
        known = {space: values for space, values in points.items() if values is not None}
        inputs = standardised(own, adapters.metadata.node_id, adapters.standardisation)
        values = similarities(adapters.heads, inputs, known)
        for subject, place in zip(own, values.argmax(1).tolist(), strict=True):
            heard.setdefault(subject.clip.name, plan.classes[place])
    return heard


def _heard_of(one: Drawn, heard: Mapping[str, str]) -> dict[str, str | None]:
    return {"heard": heard.get(one.wanted.origin["clip"]) if one.wanted.origin["source"] == "adapter" else None}


def _progress(emit: Listener, total: int) -> Callable[[Drawn, int, float], None]:
    return lambda one, done, seconds: emit(PictureMade(str(one.path), one.fresh, done, total, round(seconds, 3)))


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FailedError(f"{directory} cannot be made — {error.strerror}", hint="-o DIR writes elsewhere") from error


def _refuse_to_overwrite(directory: Path, request: ImagesRequest) -> None:
    if request.resume or request.force or not directory.is_dir():
        return
    there = sorted(path.name for path in directory.rglob("*.png"))
    if there or (directory / LIST).exists():
        raise OverwriteError(
            f"{directory} holds pictures already",
            [f"{len(there)} files, like {there[0]}"] if there else [],
            hint="--resume makes what is missing, --force makes all anew, -o DIR writes elsewhere",
        )


def _run_key(plan: ImagesPlan, request: ImagesRequest) -> str:
    """What a run must share with this one to go on with it."""
    chosen = [[clip.name, split, number] for clip, split, number, _ in plan.chosen]
    text = json.dumps(
        [
            "images",
            [one.digest for one in plan.adapters],
            plan.profile.images.model_dump(mode="json"),
            plan.profile.experiment.seed,
            plan.source,
            chosen,
            None if request.output is None else str(request.output),
            None if plan.targets is None else plan.targets.fingerprint,
        ]
    )
    return hashlib.sha256(text.encode()).hexdigest()
