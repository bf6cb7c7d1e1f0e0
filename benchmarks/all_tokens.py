"""Memory of RUN 2 on all tokens of AST, [1214, 768] a clip: 12 GB of 3,200 clips, in a process of its own.

    python benchmarks/all_tokens.py [--clips 3200] [--numbers float16] [--samples 2] [--place DIR]

AST's architecture with random weights, embeddings of noise in the cache, 50 classes on 10 nodes, a generator a class.
What counts is memory that the process holds for itself (RssAnon of /proc/PID/status); files that it maps are the page
cache's, which the kernel takes back when it needs it. The directory needs the embeddings' size and some 6 GB.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
import transformers

from feda2v_cli.data.clip import hash_of
from feda2v_cli.embedding.cache import EmbeddingCache
from feda2v_cli.embedding.encoder import make_encoder
from feda2v_cli.profile.load import load_profile

CLASSES, NODES = 50, 10
PROFILE = """
[data]
root = "data"
train_folds = [1]
test_folds = [2]

[embedding]
encoder = "./ast"
tokens = "all"
cache = "cache"
cache_dtype = "{numbers}"

[generator]
granularity = "{granularity}"
type = "gaussian"
rank = 31
"""


def prepare(place: Path, clips: int, numbers: str) -> None:
    """AST, tiny sounds, and an embedding of noise of each in the cache."""
    torch.manual_seed(0)
    transformers.ASTModel(transformers.ASTConfig()).save_pretrained(place / "ast")
    transformers.ASTFeatureExtractor().save_pretrained(place / "ast")
    nodes = "".join(
        f"[[nodes]]\nid = {node}\nclasses = {[f'class{label}' for label in range(node, CLASSES, NODES)]}\n"
        for node in range(NODES)
    ).replace("'", '"')
    for granularity in ("per_class", "auto"):
        text = PROFILE.format(numbers=numbers, granularity=granularity)
        (place / f"{granularity}.toml").write_text(text + nodes)
    (place / "data/audio").mkdir(parents=True)
    (place / "data/meta").mkdir()
    section = load_profile(str(place / "auto.toml")).profile.embedding
    encoder = make_encoder(section.model_copy(update={"encoder": str(place / "ast")}), torch.device("cpu"))
    kept = EmbeddingCache(place / "cache", encoder, numbers)
    random = np.random.default_rng(0)
    rows = ["filename,fold,target,category,esc10,src_file,take\n"]
    for clip in range(clips):
        label, fold = clip % CLASSES, 1 if clip // CLASSES % 5 else 2
        name = f"{fold}-{clip}-A-{label}.wav"
        rows.append(f"{name},{fold},{label},class{label},False,{clip},A\n")
        soundfile.write(place / "data/audio" / name, random.uniform(-1, 1, 64), encoder.sample_rate)
        content = (place / "data/audio" / name).read_bytes()
        kept.write(hash_of(content), random.standard_normal(encoder.shape, dtype=np.float32))
    (place / "data/meta/esc50.csv").write_text("".join(rows))


def measured(place: Path, *arguments: str) -> None:
    """Run a command, and print its time and memory."""
    command = [sys.executable, "-c", "from feda2v_cli.cli.main import run; run()", *arguments]
    started, own, mapped = time.monotonic(), 0, 0
    with subprocess.Popen(command, cwd=place) as process:
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text()
            sizes = {line.split()[0]: int(line.split()[1]) for line in status.splitlines() if line.endswith(" kB")}
            own = max(own, sizes.get("RssAnon:", 0))
            mapped = max(mapped, sizes.get("RssFile:", 0))
            time.sleep(0.1)
    print(
        f"{arguments[0]}: {time.monotonic() - started:.0f} s, its own memory {own / 1e6:.2f} GB at most, "
        f"files mapped {mapped / 1e6:.2f} GB, exit code {process.returncode}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=3200)
    parser.add_argument("--numbers", default="float32")
    parser.add_argument("--samples", type=int, default=2, help="of a class")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--place", type=Path, help="where its files go; they are left there, and taken if there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.place and arguments.place.parent) as temporary:
        place = arguments.place or Path(temporary)
        place.mkdir(exist_ok=True)
        if not (place / "data/meta/esc50.csv").exists():
            prepare(place, arguments.clips, arguments.numbers)
        if not (place / "checkpoints").exists():
            measured(place, "train-generators", "-p", "per_class.toml", "--set", "checkpoint.every=0", "-q")
        given = ["--rounds", str(arguments.rounds), "--local-epochs", "1", "--force", "-q"]
        measured(place, "federate", "-p", "auto.toml", "--synthetic-per-class", str(arguments.samples), *given)
        measured(place, "federate", "-p", "auto.toml", "--synthetic-per-class", "0", *given)


if __name__ == "__main__":
    main()
