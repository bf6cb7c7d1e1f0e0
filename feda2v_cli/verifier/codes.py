"""What each code of a finding means and what to do about it. Codes are never reused or renumbered.

This is the one list of codes. A finding is made where it is seen:

    the bytes of a file                    checkpoint/defect.py, raised by whoever reads them
    the metadata of a file                 inspection.py, CHECKS
    the tensors of a file (--deep)         tensors.py
    files of a set against each other      agreement.py, CHECKS
    a set against what is asked for        mismatches.py, CHECKS and gaps
    what is not there, and what is left    verify.py
"""

from dataclasses import dataclass

from feda2v_cli.errors import UsageError, closest


@dataclass(frozen=True)
class Meaning:
    """What a code means.

    Attributes:
        code: like FA009.
        name: the code in words.
        meaning: when it is reported.
        remedy: what to do.
        is_warning: whether a run can go on in any case.
        tolerable: whether a run can go on when its user says so (`--permissive`).
    """

    code: str
    name: str
    meaning: str
    remedy: str
    is_warning: bool = False
    tolerable: bool = False

    @property
    def text(self) -> str:
        """All of it, for people."""
        severity = self.to_dict()["severity"] + (", a warning with --permissive" if self.tolerable else "")
        return f"{self.code} {self.name} ({severity})\n\n{self.meaning}\n\nWhat to do: {self.remedy}"

    def to_dict(self) -> dict[str, str]:
        """Its fields as the command prints them under --json."""
        severity = "warning" if self.is_warning else "error"
        return {
            "code": self.code,
            "name": self.name,
            "severity": severity,
            "meaning": self.meaning,
            "remedy": self.remedy,
        }


_MEANINGS = (
    Meaning(
        "FA001",
        "not-found",
        "There is no checkpoint where one is expected. What is there instead is listed.",
        "Name the directory that holds the checkpoints, or train the generators.",
    ),
    Meaning(
        "FA002",
        "base-name-mismatch",
        "The files in the directory carry another base name than the profile: the first part of their names, like "
        "vae_unified, differs.",
        "Ask for the base name that is there with --base-name, or train generators under the one that is asked for.",
        tolerable=True,
    ),
    Meaning(
        "FA003",
        "granularity-mismatch",
        "The granularity in the metadata (unified, per_class, per_group) is not the one asked for, or the files of "
        "one set differ in it.",
        "Ask for the granularity that is there with --granularity, or train generators of the one that is asked for.",
    ),
    Meaning(
        "FA004",
        "node-missing",
        "A node of the profile has no generator, so nothing can stand in for its clips.",
        "Train the generators of that node.",
        tolerable=True,
    ),
    Meaning(
        "FA005",
        "class-not-covered",
        "A class of a node has no generator that can make it. The message names the file that would.",
        "Train the generators of that node again, or bring the missing file back.",
        tolerable=True,
    ),
    Meaning(
        "FA006",
        "groups-differ",
        "The groups of classes in the metadata are not those of the profile, or files of one set differ in them.",
        "Make generator.groups of the profile what it was in training, or train the generators again.",
        tolerable=True,
    ),
    Meaning(
        "FA007",
        "encoder-mismatch",
        "The generator was trained on embeddings of another encoder, of another shape, or made with other parameters. "
        "Its samples would mean nothing to an adapter.",
        "Make the embedding section of the profile what it was in training, or train the generators again.",
    ),
    Meaning(
        "FA008",
        "architecture-mismatch",
        "The tensors do not fit the architecture in the metadata: one is missing, too many, or of another shape or "
        "type, so the model cannot be rebuilt; or PyTorch would load something else. Needs --deep.",
        "Train the generator again.",
    ),
    Meaning(
        "FA009",
        "corrupt",
        "The file is not what was written: empty, truncated, no zip archive, a record with another checksum, saved "
        "again by something else; or neither feda2v nor the earlier system wrote it, or there is no file that can be "
        "read. The message names the record.",
        "Copy the file again from where it came, or train the generator again. PyTorch would load a file with a "
        "flipped bit without a word.",
    ),
    Meaning(
        "FA010",
        "unsafe",
        "The pickle in the file asks for something that is neither a tensor nor a plain value. The message names it. "
        "Nothing was executed.",
        "Do not load the file with anything else. Find out who made it.",
    ),
    Meaning(
        "FA011",
        "not-finite",
        "A weight is NaN or infinite, or a sample drawn from the generator is. Needs --deep.",
        "Train the generator again, with a smaller learning rate.",
    ),
    Meaning(
        "FA012",
        "name-disagrees",
        "The file's name and its metadata differ: it was renamed, swapped, or copied over another.",
        "Give the file the name that its metadata demand.",
        tolerable=True,
    ),
    Meaning(
        "FA013",
        "same-weights",
        "Two generators of different keys or nodes hold equal weights, so at least one of them is not what it says.",
        "Train the generators again.",
        tolerable=True,
    ),
    Meaning(
        "FA014",
        "generator-type-mismatch",
        "The generator is of another type (vae, gaussian) than asked for, or the files of one set differ in it.",
        "Ask for the type that is there with --set generator.type=TYPE, or train the generators again.",
    ),
    Meaning(
        "FA015",
        "round-gap",
        "The generators of a set end at different rounds: training of some was interrupted, or gone on with.",
        "Train the generators that are behind to the end.",
        is_warning=True,
    ),
    Meaning(
        "FA016",
        "dataset-differs",
        "The generator was trained on another data set, split or other clips than the profile names or than the "
        "others of its set. If a fold that trained is held out now, figures measured on it are too good.",
        "Make the data section of the profile what it was in training, or train the generators again.",
        is_warning=True,
    ),
    Meaning(
        "FA017",
        "newer-format",
        "The file was written by a later version of feda2v, which this one cannot read.",
        "Upgrade feda2v.",
    ),
    Meaning(
        "FA018",
        "leftover",
        "A temporary file that a killed process left while it wrote. The checkpoint that it was to replace is as it "
        "was.",
        "Remove the file, unless a training is running.",
        is_warning=True,
    ),
    Meaning(
        "FA019",
        "legacy",
        "A checkpoint of the earlier system. What is known of it is in the message. It does not say how its model is "
        "built, so no generator can be rebuilt from it.",
        "Train the generators with feda2v. feda2v convert-config makes a profile of the earlier configuration.",
        is_warning=True,
    ),
    Meaning(
        "FA020",
        "collapsed",
        "The quality figures in the metadata say that the samples have lost the variety of the data.",
        "Look at the figures with feda2v evaluate, and train the generator longer, or as gaussian.",
        is_warning=True,
    ),
    Meaning(
        "FA021",
        "stale",
        "A generator of a class or group that the newest generators of its node do not know: an earlier run left it, "
        "and a run would load it with the others.",
        "Remove the file, or train the generators of that node with the class or group.",
        is_warning=True,
    ),
    Meaning(
        "FA022",
        "reveals-clips",
        "Whoever holds the file can tell clips that trained it: it has more axes than its clips pay for, or a class of "
        "few clips, an attack in its training found them, or an earlier version made it, which had as many axes as "
        "clips.",
        "See what attacks find with feda2v audit, and train the generator again with generator.rank = auto and more "
        "clips a class, before it leaves its node. docs/privacy.md says what is promised.",
        is_warning=True,
    ),
    Meaning(
        "FA023",
        "privacy-claim",
        "What the file promises of its clips' privacy does not hold: its noise is too small for its epsilon and delta, "
        "its axes are the node's own, or it holds another public basis than it names. A run may also ask for more than "
        "a file promises.",
        "Train the generator again with feda2v, with generator.projection = public and the epsilon that is asked for.",
    ),
)
CODES = {meaning.code: meaning for meaning in _MEANINGS}


def meaning_of(code: str) -> Meaning:
    """What a code means.

    Raises:
        UsageError: there is no such code.
    """
    if code.upper() in CODES:
        return CODES[code.upper()]
    near = closest(code.upper(), CODES)
    raise UsageError(
        f"--explain {code} — there is no such code",
        [f"did you mean {near}?"] if near else [],
        hint=f"feda2v checkpoints verify --explain {near or next(iter(CODES))}",
    )
