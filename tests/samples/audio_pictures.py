"""Small runs from sounds to pictures: two nodes, four classes, tiny models."""

from pathlib import Path

PROFILE = """
[experiment]
seed = 1
[data]
train_folds = [1, 2]
[generator]
type = "gaussian"
[federation]
rounds = 2
local_epochs = 1
evaluate_every = 2
[synthetic]
per_class = 0
[images]
steps = 1
size = 16
[[nodes]]
id = 0
classes = ["dog", "rain"]
[[nodes]]
id = 1
classes = ["siren", "sea_waves"]
"""
CLASSES = ("dog", "rain", "sea_waves", "siren")


def profile_file(directory: Path) -> Path:
    """The profile as a file."""
    path = directory / "pictures.toml"
    path.write_text(PROFILE, encoding="utf-8")
    return path


def make_gallery(directory: Path, per_class: int = 2) -> Path:
    """Pictures of the classes, each of one colour, in folders of their class."""
    from PIL import Image

    for number, name in enumerate(CLASSES):
        for place in range(per_class):
            path = directory / name / f"{name}_{place}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20, 12), (40 * number, 100, 20 * place)).save(path)
    return directory
