import torch

from feda2v_cli.job.evaluate.map import MOST_POINTS, EmbeddingMap, Points
from feda2v_cli.quality.measures import Labelled


def points(clips_of_each: int, samples_of_each: int = 3, features: int = 50) -> Points:
    random = torch.Generator().manual_seed(0)
    clips, samples = (
        Labelled(torch.randn(2 * count, features, generator=random), torch.arange(2).repeat(count))
        for count in (clips_of_each, samples_of_each)
    )
    return Points(("cow", "dog"), clips, samples)


def test_the_axes_are_those_along_which_clips_vary_most() -> None:
    embeddings = points(10)
    embeddings.clips.values[:, 7] *= 10
    embeddings.clips.values[:, 3] *= 5
    drawn = torch.cat(list(EmbeddingMap.of(embeddings).clips.values()))
    clips = torch.cat([embeddings.clips.of(0), embeddings.clips.of(1)])
    _, _, axes = torch.linalg.svd(clips - clips.mean(0), full_matrices=False)
    assert torch.allclose(drawn.abs(), (clips @ axes[:2].T).abs(), atol=1e-3)


def test_there_are_no_more_samples_than_clips_of_a_class() -> None:
    drawn = EmbeddingMap.of(points(clips_of_each=2, samples_of_each=9))
    assert [len(values) for values in (*drawn.clips.values(), *drawn.samples.values())] == [2, 2, 2, 2]


def test_a_map_of_many_clips_stays_small() -> None:
    drawn = EmbeddingMap.of(points(clips_of_each=MOST_POINTS, features=4))
    assert sum(map(len, drawn.clips.values())) == MOST_POINTS


def test_a_single_clip_has_a_map_too() -> None:
    one = Labelled(torch.ones(1, 3), torch.zeros(1, dtype=torch.long))
    assert EmbeddingMap.of(Points(("cow",), one, one)).to_dict() == {
        "clips": {"cow": [[0.0, 0.0]]},
        "samples": {"cow": [[0.0, 0.0]]},
    }
