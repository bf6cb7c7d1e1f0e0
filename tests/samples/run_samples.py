"""Run directories as the commands leave them, made without training anything."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from feda2v_cli.profile.load import load_profile, resolved_toml
from feda2v_cli.run.directory import RunDirectory
from feda2v_cli.run.event import Evaluated, Event, FederationRoundEnded, Found, RoundEnded, Warned

CLASSES = ("cow", "dog", "rain", "siren")
#: What a page must show as text and never obey.
HOSTILE = "<img src=x onerror=\"window.obeyed='yes'\">"
SPACES = ("clip", "t5")


def started(
    runs: Path, kind: str, *, name: str | None = None, settings: Sequence[str] = (), words: Sequence[str] = ()
) -> RunDirectory:
    """A run that says that it is running."""
    loaded = load_profile("use_pretrained" if kind == "federate" else "per_group", settings=settings, environment={})
    return RunDirectory.create(
        runs,
        name or kind,
        command=["feda2v", kind, *words],
        key=kind,
        profile=loaded.text,
        resolved=resolved_toml(loaded),
        device="cpu",
    )


def trained(runs: Path, rounds: int = 10, name: str = "per_group") -> RunDirectory:
    """RUN 1: two generators."""
    run = started(runs, "train-generators", name=name)
    models = ("node 0 animals", "node 1 weather")
    for number in range(1, rounds + 1):
        losses = {model: {"loss": 40 + 5 / number + place, "kl": 1 / number} for place, model in enumerate(models)}
        run.record(RoundEnded(number, rounds, 1, 1, 0.1, losses))
    saved = [
        {
            "path": f"checkpoints/vae_group_node{node}.pt", "node": node, "key": model.split()[-1], "classes": ["cow"],
            "round": rounds, "final": True, "parameters": 1000, "bytes": 5000, "loss": 40.5 + node,
        }
        for node, model in enumerate(models)
    ]  # fmt: skip
    run.finish("done", {"granularity": "per_group", "encoder": "melstats", "seconds": 3.5, "checkpoints": saved})
    return run


def federation_events(
    rounds: int, nodes: int, *, every: int = 5, federation: str = "chosen", level: float = 0.9
) -> Iterator[Event]:
    """Rounds and evaluations of a federation whose values are all different."""
    for number in range(1, rounds + 1):
        losses = {
            str(node): {space: 1 / math.sqrt(number) + node / 100 + place / 10 for place, space in enumerate(SPACES)}
            for node in range(nodes)
        }
        mean = {space: sum(own[space] for own in losses.values()) / nodes for space in SPACES}
        own = losses if federation == "chosen" else {}
        yield FederationRoundEnded(federation, number, rounds, list(range(nodes)), [], 100, 0.5, mean, own)
        if number % every == 0 or number == rounds:
            accuracy = level * (1 - 1 / (number + 1))
            of_nodes = {str(node): accuracy - node / (100 * nodes) for node in range(nodes)}
            yield Evaluated(federation, number, rounds, accuracy, of_nodes, {"clip": 0.4, "t5": 0.5})


def federated(
    runs: Path,
    *,
    rounds: int = 20,
    nodes: int = 3,
    classes: Sequence[str] = CLASSES,
    settings: Sequence[str] = (),
    level: float = 0.9,
    name: str = "use_pretrained",
) -> RunDirectory:
    """RUN 2, with baselines, a finding and a warning."""
    run = started(runs, "federate", name=name, settings=settings, words=["--baselines"])
    run.record(
        Found(
            "checkpoints/a.pt was trained on other clips (FA016)", "FA016", "dataset-differs", "warning",
            "checkpoints/a.pt", "was trained on other clips", "feda2v evaluate checkpoints",
        )
    )  # fmt: skip
    run.record(Warned("left out 1 unreadable clip"))
    for event in federation_events(rounds, nodes, level=level):
        run.record(event)
    for place, baseline in enumerate(("none", "fedavg", "central")):
        for event in federation_events(rounds, nodes, federation=f"baseline {baseline}", level=0.3 + place / 5):
            run.record(event)
    run.finish("done", federation_summary(classes, nodes, level))
    return run


def federation_summary(classes: Sequence[str], nodes: int, level: float) -> dict[str, Any]:
    """The result of RUN 2."""
    confusion = [[0] * len(classes) for _ in classes]
    for row in range(len(classes)):
        confusion[row][row] = max(8 - row, 1)
        confusion[row][(row + 1) % len(classes)] += row

    def final(accuracy: float) -> dict[str, Any]:
        return {
            "accuracy": accuracy,
            "node_accuracy": {str(node): accuracy - node / 100 for node in range(nodes)},
            "per_class_accuracy": dict.fromkeys(classes, accuracy),
            "loss": {"clip": 0.4, "t5": 0.5},
        }

    return {
        "strategy": "fedavg", "engine": "local", "seconds": 12.5, "rounds": [], "final": final(level),
        "synthetic": {
            "per_class": 10, "generators": 3, "node_samples": {str(node): 10 for node in range(nodes)}, "use": ["local"]
        },
        "baselines": {"none": final(0.3), "fedavg": final(0.5), "central": final(0.7)},
        "confusion": confusion, "classes": list(classes), "skipped_rounds": [], "adapters": [],
    }  # fmt: skip


def _figures(value: float) -> dict[str, Any]:
    names = ("tstr", "trtr", "kad", "recall", "precision", "density", "coverage", "fad", "spread", "memorised")
    figure = {"value": value, "low": value - 0.1, "high": value + 0.1, "floor": value + 0.05, "baseline": value}
    return {name: None if name == "density" else figure for name in names}


def evaluated(
    runs: Path,
    classes: Sequence[str] = CLASSES,
    audit: Mapping[str, Any] | None = None,
    name: str = "evaluate-per_group",
) -> RunDirectory:
    """An evaluation, with a map."""
    run = started(runs, "evaluate", name=name)
    points = {
        name: [[math.cos(place * 9 + label), math.sin(place * 7 + label)] for place in range(8)]
        for label, name in enumerate(classes)
    }
    run.finish(
        "done",
        {
            "directory": "checkpoints/generators_per_group", "base_name": "vae_group", "granularity": "per_group",
            "generator_type": "vae", "generators": [{"node": 0, "key": "animals", "quality": {}}], "draws": 5,
            "clips": {"trained": 64, "held_out": 32}, "overall": _figures(0.8),
            "per_class": {name: _figures(0.7) for name in classes}, "verdict": "sound",
            "reasons": ["TSTR is 0.95 of TRTR"], "seconds": 4.0, "map": {"clips": points, "samples": points},
        }
        | ({"audit": dict(audit)} if audit else {}),
    )  # fmt: skip
    return run


def compared(runs: Path) -> RunDirectory:
    """A comparison of two granularities, with the runs within it."""
    run = started(runs, "compare")
    figure = {"value": 0.8, "low": 0.7, "high": 0.9, "floor": 0.85, "baseline": 0.8}
    rows = []
    for place, granularity in enumerate(("unified", "per_class")):
        trained(run.path / "runs", name=granularity)
        evaluated(run.path / "runs", name=f"evaluate-{granularity}")
        federated(run.path / "runs", name=granularity, level=0.8 + place / 10)
        rows.append(
            {
                "granularity": granularity, "generators_per_node": [1, 5], "parameters_per_node": 563439,
                "memory_bytes_per_node": 650_000_000, "disk_bytes_per_node": 2_300_000, "training_seconds": 3.5,
                "tstr": figure, "trtr": figure, "recall": figure, "kad": figure, "verdict": "sound",
                "accuracy": 0.8 + place / 10, "tstr_share": 0.95,
            }
        )  # fmt: skip
    run.finish("done", {"table": rows, "without_samples": {"accuracy": 0.7}, "setting": {}, "seconds": 60.0})
    return run


def pictures(runs: Path, classes: Sequence[str] = ("dog", "rain"), *, words: Sequence[str] = ()) -> RunDirectory:
    """Pictures of a clip a class, and of its true target."""
    from PIL import Image

    run = started(runs, "images", words=words)
    listed = []
    for place, name in enumerate(classes):
        for source, clip in (("adapter", f"5-{name}-04.wav"), ("target", None)):
            file = f"{source}/{place}.png"
            (run.path / "images" / source).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (512, 512), (50 + 100 * place, 120, 90)).save(run.path / "images" / file)
            listed.append(
                {
                    "file": file, "source": source, "class": name, "clip": clip, "split": clip and "test",
                    "node": clip and "server", "adapter": clip and "0123456789abcdef", "seed": 7,
                    "heard": clip and name, "nearest": [{"picture": "a.png", "caption": f"a {name}", "cosine": 0.5}],
                }
            )  # fmt: skip
    result = {
        "run_dir": str(run.path), "directory": str(run.path / "images"), "contact_sheet": "", "pictures": listed,
        "made": len(listed), "maker": {"pipeline": "tiny"}, "retrieval": 0.75, "seconds": 3.0,
        "gallery": {"adapter": {"clips": 2, "recall_at_1": 0.5}}, "score": {"adapter": {"accuracy": 0.6}},
    }  # fmt: skip
    (run.path / "images" / "images.json").write_text(json.dumps(result))
    run.finish("done", result)
    return run


def killed(runs: Path, rounds: int = 8) -> RunDirectory:
    """RUN 2 that was killed while it wrote a line."""
    run = started(runs, "federate", name="killed")
    for event in federation_events(rounds, 3):
        if event.fields()["round"] <= rounds // 2:
            run.record(event)
    with (run.path / "metrics.jsonl").open("a") as metrics:
        metrics.write('{"time": "2026-11-26T09:23:26+00:00", "event": "federation_rou')
    return run


def events_of(run: RunDirectory) -> list[dict[str, Any]]:
    """The events that a run has recorded."""
    return [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]


def write_long_history(path: Path, rounds: int, nodes: int) -> None:
    """Rounds and evaluations, with one peak in one round of one node."""
    node_loss: dict[str, Any] = {}
    with path.open("w") as metrics:
        for number in range(1, rounds + 1):
            level = 1 / number**0.5
            node_loss = {
                str(node): {"clip": round(level + node / 1000 + (number * 7919 + node) % 13 / 500, 9), "t5": level}
                for node in range(nodes)
            }
            if number == 6543:
                node_loss["42"]["clip"] = 9.75
            common = {"federation": "chosen", "round": number, "rounds": rounds}
            event = {"event": "federation_round_ended", "loss": {"clip": level, "t5": level}, "node_loss": node_loss}
            metrics.write(json.dumps(common | event) + "\n")
            accuracy = {str(node): 1 - level - node / 1000 for node in range(nodes)}
            event = {"event": "evaluated", "accuracy": 1 - level, "node_accuracy": accuracy, "loss": {"clip": level}}
            metrics.write(json.dumps(common | event) + "\n")
