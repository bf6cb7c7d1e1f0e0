"""What training generators costs: time, memory and disk of RUN 1, beside a plain PyTorch loop.

python benchmarks/train_generators.py            all of it, about 5 minutes on 2 cores
python benchmarks/train_generators.py runs       default runs on the built-in sounds, from an empty cache
python benchmarks/train_generators.py ratio      per_class beside unified on the same clips, embeddings cached
python benchmarks/train_generators.py loop       a stack beside a plain loop over the same models
python benchmarks/train_generators.py long       embeddings of [1214, 768]: one class of 40 clips, and 50 classes

Not of the five minutes:

python benchmarks/train_generators.py growth     per_class runs on 100 to 100,000 clips of 50 classes on 10 nodes, whose
                                                 embeddings [4, 768] are cached (a quarter of an hour)
python benchmarks/train_generators.py growth N   the same on N clips alone
python benchmarks/train_generators.py fitting    fitting alone, without epochs: one generator of 100 to 32,000 clips
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import soundfile
import torch
from torch.profiler import ProfilerActivity, profile

from feda2v_cli.checkpoint.file import write_checkpoint
from feda2v_cli.checkpoint.metadata import GeneratorMetadata
from feda2v_cli.data.clip import hash_of
from feda2v_cli.embedding.cache import EmbeddingCache
from feda2v_cli.embedding.encoder import make_encoder
from feda2v_cli.engine.batch import draw_epoch
from feda2v_cli.engine.memory import memory_budget, stacks
from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.generator.granularity import GeneratorSpec
from feda2v_cli.generator.principal_components import first_columns
from feda2v_cli.generator.registry import cost, set_up_bytes
from feda2v_cli.generator.training_set import TrainingSet, training_set
from feda2v_cli.generator.vae import ConditionalVae, learned_components, vae_loss
from feda2v_cli.generator.vae_fitting import VaeFitting
from feda2v_cli.generator.vae_fitting import optimiser as optimiser_of
from feda2v_cli.profile.load import load_profile
from feda2v_cli.profile.schema import GeneratorSection
from feda2v_cli.run.machine import peak_memory_bytes
from feda2v_cli.threads import threads_per_operation

FEDA2V = str(Path(sys.executable).with_name("feda2v"))
CPU = torch.device("cpu")
GRANULARITIES = ("unified", "per_class", "per_group")
MATRIX_PRODUCTS = {"aten::mm", "aten::bmm", "aten::addmm", "aten::baddbmm"}


def feda2v(directory: Path, cache: Path, *arguments: str) -> dict[str, Any]:
    """The `data` of a command's JSON."""
    done = subprocess.run(
        [FEDA2V, "train-generators", *arguments, "--json", "-q"],
        cwd=directory,
        env=os.environ | {"FEDA2V_EMBEDDING_CACHE": str(cache)},
        check=True,
        capture_output=True,
        text=True,
    )
    data: dict[str, Any] = json.loads(done.stdout)["data"]
    return data


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
        components = data.components(section)
        learned = learned_components(torch.bincount(data.labels), components.counts, section.latent)
        items = {
            "scores": first_columns(components.scores(data.coordinates, data.labels), section.latent),
            "remainder": torch.zeros(len(data.labels)),
            "one_hot": torch.nn.functional.one_hot(data.labels, classes).float(),
        }
        steps = optimiser_of(section, section.learning_rate).steps_per_epoch(len(data.labels))
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


def metadata_of(spec: GeneratorSpec, architecture: dict[str, Any], loss: float) -> GeneratorMetadata:
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


CLASSES, NODES, FOLD = 50, 10, 1
PROFILE_OF_GROWTH = """
[data]
root = "data"
train_folds = [1]
test_folds = [2]

[generator]
granularity = "per_class"
fewest_clips = 1
"""


def cached_clips(directory: Path, cache: Path, clips: int) -> None:
    """A data set of so many tiny clips in 50 classes on 10 nodes, with embeddings of noise in the cache."""
    nodes = "".join(
        f"[[nodes]]\nid = {node}\nclasses = {[f'class{label}' for label in range(node, CLASSES, NODES)]}\n"
        for node in range(NODES)
    )
    (directory / "growth.toml").write_text(PROFILE_OF_GROWTH + nodes.replace("'", '"'))
    (directory / "data/audio").mkdir(parents=True)
    (directory / "data/meta").mkdir()
    encoder = make_encoder(load_profile(str(directory / "growth.toml")).profile.embedding, CPU)
    kept = EmbeddingCache(cache, encoder)
    random = np.random.default_rng(0)
    rows = ["filename,fold,target,category,esc10,src_file,take\n"]
    for clip in range(clips):
        label = clip % CLASSES
        name = f"{FOLD}-{clip}-A-{label}.wav"
        rows.append(f"{name},{FOLD},{label},class{label},False,{clip},A\n")
        path = directory / "data/audio" / name
        soundfile.write(path, random.uniform(-1, 1, 64), encoder.sample_rate)
        kept.write(hash_of(path.read_bytes()), random.standard_normal(encoder.shape, dtype=np.float32))
    (directory / "data/meta/esc50.csv").write_text("".join(rows))


def growth(counts: Sequence[int] = (100, 1_000, 10_000, 100_000)) -> None:
    print("per_class runs with the defaults: 50 classes on 10 nodes, embeddings [4, 768] cached")
    print("  clips    seconds   of training   a clip   peak memory   dry run said", flush=True)
    for clips in counts:
        with tempfile.TemporaryDirectory() as place:
            directory = Path(place)
            cached_clips(directory, directory / "cache", clips)
            planned = feda2v(directory, directory / "cache", "-p", "growth.toml", "--dry-run")
            done = feda2v(directory, directory / "cache", "-p", "growth.toml")
            lines = (directory / done["run_dir"] / "metrics.jsonl").read_text().splitlines()
        training = sum(event.get("seconds", 0) for event in map(json.loads, lines) if event["event"] == "round_ended")
        print(
            f"{clips:7} {done['seconds']:8.1f} s {training:11.1f} s {1000 * done['seconds'] / clips:6.1f} ms "
            f"{done['peak_memory_bytes'] / 1e6:10.0f} MB {planned['memory_bytes'] / 1e6:11.0f} MB",
            flush=True,
        )


def fitting(counts: Sequence[int] = (100, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000)) -> None:
    print("one generator of 50 classes, embeddings [4, 768]: its projection and the components of its classes")
    print("  clips    projection   components   a clip   peak memory   said beforehand", flush=True)
    for clips in counts:
        # A process of its own, so that its peak memory is its own.
        print(subprocess.check_output([sys.executable, __file__, "fit-one", str(clips)], text=True), end="", flush=True)


def fit_one(clips: int) -> None:
    """Fit one generator of so many clips; print a line of the table."""
    section = GeneratorSection()
    classes = min(CLASSES, clips // 2)
    names = tuple(f"class{label}" for label in range(classes))
    embeddings = torch.randn(clips, 4, 768, generator=random_stream(0, "growth"))
    before = peak_memory_bytes()
    started = time.perf_counter()
    spec = GeneratorSpec(0, "unified", None, names)
    data = training_set(spec, embeddings, [names[clip % classes] for clip in range(clips)], section)
    projected = time.perf_counter() - started
    data.components(section)
    seconds = time.perf_counter() - started
    said = set_up_bytes(dict.fromkeys(names, -(-clips // classes)), 4 * 768, section)
    print(
        f"{clips:7} {projected:10.1f} s {seconds - projected:10.1f} s {1000 * seconds / clips:6.2f} ms "
        f"{(peak_memory_bytes() - before + embeddings.nbytes) / 1e6:10.0f} MB {said / 1e6:14.0f} MB"
    )


def main() -> None:
    match sys.argv[1:]:
        case ["fit-one", clips]:
            fit_one(int(clips))
        case ["growth", clips]:
            growth([int(clips)])
        case ["growth" | "fitting" as part]:
            globals()[part]()
        case ["train-long", classes]:
            train_long(int(classes))
        case [] | ["runs" | "ratio" | "loop" | "long"]:
            for name in sys.argv[1:] or ["runs", "ratio", "loop", "long"]:
                globals()[name]()
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
