"""What a run works on beside its profile: the clips and the encoder. No run goes on with others than it began with."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from feda2v_cli.atomic_write import atomic_write
from feda2v_cli.data.clip import Clip, fingerprint
from feda2v_cli.embedding.cache import encoder_key
from feda2v_cli.embedding.encoder import Encoder
from feda2v_cli.errors import FailedError
from feda2v_cli.job.files import writing_resume_state
from feda2v_cli.run.directory import RunDirectory

_HINT = "put them back, or start anew: --force in the place of --resume"
_FILE = "contents.json"


def listed_inputs(holders: Iterable[Collection[Clip]], encoder: Encoder) -> dict[str, Any]:
    """What can be told of a run's inputs without reading a clip.

    Args:
        holders: the clips of each node or generator.
        encoder: makes the embeddings.
    """
    listed = list(holders)
    lists = "".join(fingerprint(clips) for clips in listed)
    return {
        "clips": len({clip for clips in listed for clip in clips}),
        "clip_lists": hashlib.sha256(lists.encode()).hexdigest(),
        "embeddings": encoder_key(encoder),
    }


def refuse_other_inputs(run: RunDirectory, inputs: Mapping[str, Any]) -> None:
    """Refuse to go on with a run that was begun with other inputs.

    Args:
        run: that was begun.
        inputs: of now, as `listed_inputs` makes them.

    Raises:
        FailedError: they are others, or the run does not say which it had.
    """
    then = run.inputs
    problems = []
    if then.get("clip_lists") != inputs["clip_lists"]:
        count = then.get("clips", "unknown")
        problems.append(f"it was begun with {count} clips, and the {inputs['clips']} of now are not those")
    if then.get("embeddings") != inputs["embeddings"]:
        made = f"{then.get('embeddings', 'unknown')} then, {inputs['embeddings']} now"
        problems.append(f"its embeddings are of another encoder, or of other versions of what decodes sounds: {made}")
    if problems:
        raise FailedError(f"{run.path} cannot be resumed — its clips or its encoder have changed", problems, hint=_HINT)


def refuse_other_contents(resume: Path, contents: Mapping[str, str]) -> None:
    """Keep what the clips of a run contain when it begins, and refuse to go on with clips that contain something else.

    Args:
        resume: the run's directory of states.
        contents: a hash of what each clip contains that is used, by its name.

    Raises:
        FailedError: a clip of the same name contains another sound now, other clips are unreadable than were, or what
            they contain cannot be kept.
    """
    path = resume / _FILE
    if not path.exists():
        with writing_resume_state(path, "the run cannot go on"), atomic_write(path) as file:
            file.write(json.dumps(dict(contents)).encode())
        return
    then = json.loads(path.read_bytes())
    changed = sorted(name for name in then.keys() | contents.keys() if then.get(name) != contents.get(name))
    if changed:
        raise FailedError(
            f"{resume.parent} cannot be resumed — {len(changed)} of its {len(then)} clips have changed",
            [f"the first: {changed[0]}"],
            hint=_HINT,
        )
