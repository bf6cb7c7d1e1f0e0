"""What training generators costs: time, memory and disk of RUN 1, beside a plain PyTorch loop.

python benchmarks/train_generators.py            all of it, about 5 minutes on 2 cores
python benchmarks/train_generators.py runs       default runs on the built-in sounds, from an empty cache
python benchmarks/train_generators.py ratio      per_class beside unified on the same clips, embeddings cached
python benchmarks/train_generators.py loop       a stack beside a plain loop over the same models
python benchmarks/train_generators.py long       embeddings of [1214, 768]: one class of 40 clips, and 50 classes
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
from torch.profiler import ProfilerActivity, profile

from feda2v_cli.checkpoint.file import write_checkpoint
from feda2v_cli.checkpoint.metadata import GeneratorMetadata
from feda2v_cli.engine.batch import draw_epoch, steps_per_epoch
from feda2v_cli.engine.memory import memory_budget, stacks
from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.generator.granularity import GeneratorSpec
from feda2v_cli.generator.principal_components import first_columns
from feda2v_cli.generator.registry import cost
from feda2v_cli.generator.training_set import TrainingSet, training_set
from feda2v_cli.generator.vae import ConditionalVae, learned_components, vae_loss
from feda2v_cli.generator.vae_fitting import VaeFitting
from feda2v_cli.profile.load import load_profile
from feda2v_cli.profile.schema import GeneratorSection
from feda2v_cli.run.machine import peak_memory_bytes
from feda2v_cli.threads import threads_per_operation

FEDA2V = str(Path(sys.executable).with_name("feda2v"))
CPU = torch.device("cpu")
GRANULARITIES = ("unified", "per_class", "per_group")
MATRIX_PRODUCTS = {"aten::mm", "aten::bmm", "aten::addmm", "aten::baddbmm"}


def feda2v(directory: Path, cache: Path, *arguments: str) -> dict:
    """The `data` of a command's JSON."""
    done = subprocess.run(
        [FEDA2V, "train-generators", *arguments, "--json", "-q"],
        cwd=directory,
        env=os.environ | {"FEDA2V_EMBEDDING_CACHE": str(cache)},
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)["data"]


def runs() -> None:
    print("default runs on the built-in sounds, from an empty cache of embeddings")
    print("granularity    seconds   peak memory  dry run said   checkpoints  dry run said")
    for granularity in GRANULARITIES:
        with tempfile.TemporaryDirectory() as place:
            directory = Path(place)
            planned = feda2v(directory, directory / "cache", "-g", granularity, "--dry-run")
            done = feda2v(directory, directory / "cache", "-g", granularity)
        written = sum(saved["bytes"] for saved in done["checkpoints"])
        peak, memory, disk = done["peak_memory_bytes"], planned["memory_bytes"], planned["disk_bytes"]
        print(
            f"{granularity:12} {done['seconds']:8.1f} s {peak / 1e6:8.0f} MB {memory / 1e6:8.0f} MB "
            f"({memory / peak - 1:+.0%}) {written / 1e6:8.1f} MB {disk / 1e6:8.1f} MB ({disk / written - 1:+.0%})"
        )


def ratio(pairs: int = 3) -> None:
    print("training per_class beside unified: the same clips and epochs, embeddings cached")
    seconds: dict[str, list[float]] = {"unified": [], "per_class": []}
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        for _ in range(pairs):
            for granularity, measured in seconds.items():
                done = feda2v(directory, directory / "cache", "-g", granularity, "--force")
                lines = (directory / done["run_dir"] / "metrics.jsonl").read_text().splitlines()
                ended = [event for event in map(json.loads, lines) if event["event"] == "round_ended"]
                measured.append(sum(event["seconds"] for event in ended))
    for granularity, measured in seconds.items():
        print(f"  {granularity:10} {median(measured):6.1f} s  (of {', '.join(f'{value:.1f}' for value in measured)})")
    ratios = [own / other for own, other in zip(seconds["per_class"], seconds["unified"], strict=True)]
    print(f"  per_class / unified, pair by pair: {median(ratios):.2f}")


def sets_of(models: int, clips: int, classes: int, section: GeneratorSection) -> list[TrainingSet]:
    names = tuple(f"class{number}" for number in range(classes))
    made = []
    for node in range(models):
        embeddings = torch.randn(clips, 4, 768, generator=random_stream(0, "benchmark", node))
        spec = GeneratorSpec(node, "unified", None, names)
        made.append(training_set(spec, embeddings, [names[clip % classes] for clip in range(clips)], section))
    return made


def plain_loop(sets: list[TrainingSet], section: GeneratorSection, epochs: int) -> float:
    """Seconds of the usual training: model after model, batch after batch, with PyTorch's own optimiser."""
    started = time.perf_counter()
    for data in sets:
        classes = len(data.spec.classes)
        module = ConditionalVae(classes, section.hidden, section.latent)
        loss = vae_loss(module, kl_warmup_share=0.0, free_bits=0.0, input_noise=section.noise)
        optimiser = torch.optim.AdamW(module.parameters(), lr=section.learning_rate, fused=True)
        components = data.components(section.shrinkage)
        learned = learned_components(torch.bincount(data.labels), components.counts, section.latent)
        items = {
            "scores": first_columns(components.scores(data.coordinates, data.labels), section.latent),
            "remainder": torch.zeros(len(data.labels)),
            "one_hot": torch.nn.functional.one_hot(data.labels, classes).float(),
        }
        steps = steps_per_epoch(len(data.labels), section.batch_size)
        random = random_stream(0, data.spec.node)
        for _ in range(epochs):
            drawn = draw_epoch([random], [len(data.labels)], [2 * section.latent], steps)
            for step in range(steps):
                batch = {name: values[drawn.index[step, 0]] for name, values in items.items()} | {"learned": learned}
                value = loss(dict(module.named_parameters()), batch, drawn.noise[step, 0], torch.tensor(1.0))["loss"]
                optimiser.zero_grad()
                value.mean().backward()
                torch.nn.utils.clip_grad_norm_(module.parameters(), section.clip_norm)
                optimiser.step()
    return time.perf_counter() - started


def loop(pairs: int = 3) -> None:
    section = GeneratorSection(rounds=pairs + 1, epochs=10)
    print(f"a stack beside a plain loop over the same models, {section.epochs} epochs, one thread each")
    print("models                     stack      loop   loop / stack   of the stack's time in matrix products")
    with threads_per_operation(1):
        for title, models, clips, classes in (
            ("unified, 3 × 160 clips", 3, 160, 5),
            ("per_class, 15 × 32 clips", 15, 32, 1),
            ("per_class, 100 × 32 clips", 100, 32, 1),
        ):
            sets = sets_of(models, clips, classes, section)
            fitting = VaeFitting(sets, section, section.learning_rate, 0, CPU)
            fitting.train_round(1)
            stack, plain = [], []
            for number in range(pairs):
                started = time.perf_counter()
                fitting.train_round(number + 2)
                stack.append(time.perf_counter() - started)
                plain.append(plain_loop(sets, section, section.epochs))
            with profile(activities=[ProfilerActivity.CPU]) as profiled:
                fitting.train_round(1)
            events = [event for event in profiled.key_averages() if event.key.startswith("aten::")]
            spent = {event.key: event.self_cpu_time_total for event in events}
            share = sum(spent.get(name, 0) for name in MATRIX_PRODUCTS) / sum(spent.values())
            ratios = median(own / other for own, other in zip(plain, stack, strict=True))
            print(f"{title:25} {median(stack):6.2f} s  {median(plain):6.2f} s  {ratios:9.1f}    {share:18.0%}")


def long_embeddings(number: int) -> torch.Tensor:
    """40 clips [40, 1214, 768] that vary along 60 factors, and a little everywhere."""
    random = random_stream(0, "long", number)
    factors = torch.randn(60, 1214 * 768, generator=random)
    clips = torch.randn(40, 60, generator=random) @ factors
    clips += 0.1 * torch.randn(clips.shape, generator=random)
    return clips.view(40, 1214, 768)


def train_long(classes: int) -> None:
    """Train and save generators of `classes` classes, 100 epochs each; print seconds and peak memory."""
    section = load_profile("per_class", environment={}).profile.generator.model_copy(
        update={"rounds": 1, "epochs": 100}
    )
    specs = [GeneratorSpec(0, "per_class", f"class{number}", (f"class{number}",)) for number in range(classes)]
    memory = cost({"class": 40}, 1214 * 768, section).bytes
    dealt = stacks(range(classes), lambda _: 0, lambda _: memory, memory_budget("auto", CPU))
    spent = 0.0
    with tempfile.TemporaryDirectory() as place:
        for stack in dealt:
            sets = []
            for number in stack:
                embeddings = long_embeddings(number)
                started = time.perf_counter()
                sets.append(training_set(specs[number], embeddings, [f"class{number}"] * 40, section))
                spent += time.perf_counter() - started
                del embeddings
            started = time.perf_counter()
            fitting = VaeFitting(sets, section, section.learning_rate, 0, CPU)
            losses = fitting.train_round(1)
            for index, data in enumerate(sets):
                generator = fitting.generator(index)
                metadata = metadata_of(data.spec, generator.architecture(), float(losses["loss"][index]))
                write_checkpoint(Path(place) / metadata.name.filename, metadata, generator.state())
            spent += time.perf_counter() - started
        size = sum(path.stat().st_size for path in Path(place).iterdir())
    print(f"{spent:.2f} {peak_memory_bytes()} {size} {len(dealt)}")


def metadata_of(spec: GeneratorSpec, architecture: dict, loss: float) -> GeneratorMetadata:
    key = spec.key or ""
    return GeneratorMetadata(
        base_name="vae_perclass",
        node_id=spec.node,
        round=1,
        final=True,
        timestamp="2026-01-01T00:00:00+00:00",
        generator_type="vae",
        generator_granularity="per_class",
        run_granularity="per_class",
        generator_key=key,
        generator_classes=spec.classes,
        class_name=key,
        group_name=None,
        generator_class_groups={},
        node_classes=spec.classes,
        expected_keys=spec.classes,
        architecture=architecture,
        encoder={"name": "benchmark"},
        embedding_shape=(1214, 768),
        dataset_name="benchmark",
        train_folds=(1, 2, 3, 4),
        test_folds=(5,),
        samples_per_class={key: 40},
        dataset_fingerprint="",
        seed=0,
        generator_training_epochs=100,
        optimiser={},
        final_losses={"loss": loss},
        quality=None,
        package_version="",
        torch_version="",
        profile_hash="",
    )


def long() -> None:
    print("embeddings of [1214, 768], 40 clips a class, 100 epochs: projection, training and saving")
    for classes in (1, 50):
        # A process of its own, so that its peak memory is its own.
        answer = subprocess.check_output([sys.executable, __file__, "train-long", str(classes)], text=True)
        seconds, peak, size, stack_count = answer.split()
        print(
            f"{classes:4} classes  {float(seconds):6.1f} s  peak {int(peak) / 1e9:.2f} GB  "
            f"checkpoints {int(size) / 1e9:.2f} GB  in {stack_count} stacks"
        )


def main() -> None:
    match sys.argv[1:]:
        case ["train-long", classes]:
            train_long(int(classes))
        case [] | ["runs" | "ratio" | "loop" | "long"]:
            for part in sys.argv[1:] or ["runs", "ratio", "loop", "long"]:
                globals()[part]()
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
