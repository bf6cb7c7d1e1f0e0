"""What samples of the generators are worth beside clips and beside Gaussians, over seeds and held-out folds.

    python benchmarks/quality.py                                     the built-in sounds, the default profiles
    python benchmarks/quality.py --profile my.toml --data-root DIR   recordings in the ESC-50 layout
    python benchmarks/quality.py --set generator.latent=32           another setting
    python benchmarks/quality.py --unseen 100 --seeds 5 --draws 20   close figures told apart
    python benchmarks/quality.py --unseen 100 --samples-per-clip 10  generators told apart, with less chance of a draw

Each seed trains anew, holds out another fold, and draws several times. About three minutes a seed on 2 cores. The last
lines of a granularity are how far the generators are from the Gaussians, with the standard error over the seeds.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev

from setting import settings_of_seed, sounds_of_no_fold

from feda2v_cli.job.evaluate.run import Evaluation, evaluate
from feda2v_cli.job.train_generators.run import train_generators
from feda2v_cli.profile.load import load_profile

GRANULARITIES = ("unified", "per_class", "per_group")


def main() -> None:
    arguments = _arguments()
    print(
        "granularity  seed  TSTR/TRTR  gaussian  recall/floor  gaussian     KAD  gaussian  spread  verdict", flush=True
    )
    for granularity in arguments.granularities:
        rows = []
        for seed in range(arguments.seeds):
            evaluated = _evaluated(granularity, seed, arguments)
            rows.append(_figures(evaluated))
            print(_line(granularity, str(seed), rows[-1]), evaluated.verdict.word, flush=True)
        means = [fmean(column) for column in zip(*rows, strict=True)]
        print(_line(granularity, "mean", means), flush=True)
        for name, own, gaussian in (("TSTR/TRTR", 0, 1), ("KAD", 4, 5)):
            differences = [row[own] - row[gaussian] for row in rows]
            error = f" ± {stdev(differences) / len(differences) ** 0.5:.4f}" if len(differences) > 1 else ""
            print(f"{granularity:11}  {name} − the Gaussians': {fmean(differences):+.4f}{error}", flush=True)


def _evaluated(granularity: str, seed: int, arguments: argparse.Namespace) -> Evaluation:
    with tempfile.TemporaryDirectory() as directory:
        settings = [
            *settings_of_seed(seed, directory),
            f"generator.granularity={granularity}",
            *([f"data.root='{arguments.data_root}'"] if arguments.data_root else []),
            *arguments.settings,
        ]
        loaded = load_profile(arguments.profile or granularity, settings=settings)
        if arguments.unseen and loaded.profile.data.root is not None:
            raise SystemExit("--unseen makes built-in sounds: it cannot test generators of other recordings")
        train_generators(loaded)
        classes = sorted({name for node in loaded.profile.nodes for name in node.classes})
        return evaluate(
            Path(directory) / "generators",
            loaded,
            profile_named=loaded.name,
            draws=arguments.draws,
            held_out=sounds_of_no_fold(classes, arguments.unseen) if arguments.unseen else None,
            samples_per_clip=arguments.samples_per_clip,
        )


def _figures(evaluated: Evaluation) -> list[float]:
    def figure(name: str, which: str = "value") -> float:
        return float(getattr(evaluated.overall[name], which))

    trtr, floor = figure("trtr"), figure("recall", "floor")
    return [
        figure("tstr") / trtr,
        figure("tstr", "baseline") / trtr,
        figure("recall") / floor,
        figure("recall", "baseline") / floor,
        figure("kad"),
        figure("kad", "baseline"),
        figure("spread"),
    ]


def _line(granularity: str, seed: str, values: Sequence[float]) -> str:
    widths = (11, 10, 14, 10, 8, 10, 8)
    return f"{granularity:11}{seed:>6}" + "".join(
        f"{value:>{width}.3f}" for value, width in zip(values, widths, strict=True)
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", help="default: the shipped profile of each granularity")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--granularities", nargs="+", default=GRANULARITIES, choices=GRANULARITIES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--unseen", type=int, default=0, help="built-in sounds a class made for the test; 0: the fold")
    parser.add_argument("--samples-per-clip", type=int, default=1, help="samples of a draw, a clip that trained")
    return parser.parse_args()


if __name__ == "__main__":
    main()
