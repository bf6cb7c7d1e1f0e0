"""What a run has come to, in a sentence, in a few words, and in figures that runs are compared by."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from feda2v_cli.counted import counted
from feda2v_cli.privacy.interval import wilson
from feda2v_cli.report.parts import shown
from feda2v_cli.run.events_file import EventsFile
from feda2v_cli.run.record import RunRecord

#: Events that tell how far a run is.
_ROUNDS = frozenset({"round_ended", "federation_round_ended"})
_STATES = {
    "running": "is still running",
    "killed": "was killed",
    "interrupted": "was interrupted",
    "failed": "failed",
    "damaged": "does not say what became of it",
}


@dataclass(frozen=True)
class Result:
    """What a run has come to.

    Attributes:
        short: in a few words.
        sentence: in one sentence.
        figures: by name.
    """

    short: str
    sentence: str
    figures: Mapping[str, float] = field(default_factory=dict)


def result_of(record: RunRecord) -> Result:
    """The result of a run, or how far it is."""
    if record.state != "done":
        return _unfinished(record)
    try:
        return _OF_KIND.get(record.kind, _other)(record.summary)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return _other(record.summary)  # of another version, or damaged


def _unfinished(record: RunRecord) -> Result:
    last = EventsFile(record.path / "metrics.jsonl").last(_ROUNDS) or {}
    number, rounds = last.get("round"), last.get("rounds")
    far = f"round {number} of {rounds}" if isinstance(number, int) and isinstance(rounds, int) else ""
    how_far = f" after {far}" if far else ""
    failure = record.error or {}
    why = str(failure.get("message", "")).partition("\n")[0]
    sentence = f"The run {_STATES[record.state]}{how_far}: this is what there is."
    if why:
        sentence = f"The run failed{how_far}: {why}"
    return Result(why or far, sentence)


def _trained(summary: Mapping[str, Any]) -> Result:
    last = [saved for saved in summary["checkpoints"] if saved["final"]]
    losses = [float(saved["loss"]) for saved in last]
    nodes = len({saved["node"] for saved in last})
    loss = fmean(losses)
    count = f"{len(last)} {summary['granularity']} generators"
    return Result(
        f"{count}, loss {shown(loss)}",
        f"{count} of {counted(nodes, 'node')} were trained on {summary['encoder']} embeddings, with a mean loss of "
        f"{shown(loss)} nats a clip at the end.",
        {"loss": loss, "generators": len(last), "megabytes": sum(saved["bytes"] for saved in last) / 1e6},
    )


def _federated(summary: Mapping[str, Any]) -> Result:
    final, synthetic = summary["final"], summary["synthetic"]
    accuracy = float(final["accuracy"])
    confusion = summary.get("confusion") or []
    clips = sum(map(sum, confusion))
    sure = ""
    if clips:
        low, high = wilson(sum(row[place] for place, row in enumerate(confusion)), clips)
        sure = f" (95 % interval {low:.3f} to {high:.3f}, {clips} clips held out)"
    samples = sum(synthetic["node_samples"].values())
    source = f"{samples} samples of {counted(synthetic['generators'], 'generator')}" if samples else "no samples"
    baselines = {name: float(one["accuracy"]) for name, one in (summary.get("baselines") or {}).items()}
    beside = "".join(f"; {BASELINES.get(name, name)} {value:.3f}" for name, value in baselines.items())
    nodes = [value for value in final["node_accuracy"].values() if value is not None]
    return Result(
        f"accuracy {accuracy:.3f}",
        f"Accuracy is {accuracy:.3f}{sure} with {summary['strategy']} and {source}{beside}.",
        {"accuracy": accuracy}
        | ({"worst node": min(nodes)} if nodes else {})
        | {f"loss {space}": float(value) for space, value in final["loss"].items()}
        | {"samples a class": synthetic["per_class"]}
        | {f"accuracy, {name}": value for name, value in baselines.items()},
    )


def _evaluated(summary: Mapping[str, Any]) -> Result:
    overall = summary["overall"]
    figures = {name: float(one["value"]) for name, one in overall.items() if one is not None}
    if figures.get("trtr") and "tstr" in figures:
        figures = {"TSTR / TRTR": figures["tstr"] / figures["trtr"]} | figures
    verdict = str(summary["verdict"])
    return Result(
        verdict,
        f"The samples of {counted(len(summary['generators']), 'generator')} in {summary['directory']} are {verdict}: "
        f"{'; '.join(summary['reasons'])}.",
        figures,
    )


def _compared(summary: Mapping[str, Any]) -> Result:
    rows = summary["table"]
    accurate = max(rows, key=lambda row: row["accuracy"])
    faithful = max(rows, key=lambda row: row["tstr_share"])
    alone = float(summary["without_samples"]["accuracy"])
    return Result(
        f"{accurate['granularity']} {accurate['accuracy']:.3f}",
        f"{accurate['granularity']} gives the best accuracy, {accurate['accuracy']:.3f} (without samples {alone:.3f}), "
        f"and {faithful['granularity']} the samples that are worth most beside clips, "
        f"{faithful['tstr_share']:.2f} of TRTR.",
        {"accuracy": float(accurate["accuracy"]), "TSTR / TRTR": float(faithful["tstr_share"])},
    )


def _pictured(summary: Mapping[str, Any]) -> Result:
    count = counted(len(summary["pictures"]), "picture")
    heard = summary.get("retrieval")
    score = {name: float(one["accuracy"]) for name, one in (summary.get("score") or {}).items()}
    told = [f"{heard:.3f} of the clips are heard as their class"] if heard is not None else []
    told += [f"CLIP names {value:.3f} of those of {source}" for source, value in score.items()]
    return Result(
        f"{count}, {told[0]}" if told else count,
        f"{'; '.join([f'{count} are there', *told])}.",
        ({} if heard is None else {"retrieval": float(heard)})
        | {f"CLIP accuracy, {name}": value for name, value in score.items()},
    )


def _other(summary: Mapping[str, Any]) -> Result:
    """Of a kind of run that this page knows nothing of: what it says in words and figures."""
    words = next((str(summary[name]) for name in ("verdict", "result") if isinstance(summary.get(name), str)), "")
    figures = {
        name: float(value)
        for name, value in summary.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name != "seconds"
    }
    told = [words, *(f"{name} {shown(value)}" for name, value in figures.items())]
    text = ", ".join(part for part in told if part)
    return Result(words or text[:60], f"The run is done: {text}." if text else "The run is done.", figures)


#: Baselines in words.
BASELINES: Mapping[str, str] = {
    "none": "every node alone",
    "fedavg": "fedavg without samples",
    "central": "all clips in one place",
}
_OF_KIND: Mapping[str, Callable[[Mapping[str, Any]], Result]] = {
    "train-generators": _trained,
    "federate": _federated,
    "evaluate": _evaluated,
    "compare": _compared,
    "images": _pictured,
}
