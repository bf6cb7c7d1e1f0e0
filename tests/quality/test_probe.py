import subprocess
import sys

import pytest
import torch
from sklearn.linear_model import LogisticRegression

from feda2v_cli.quality.probe import INVERSE_PENALTY, Probe

CLASSES = 4


def clips(count: int, seed: int, features: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    centres = torch.randn(CLASSES, features, generator=torch.Generator().manual_seed(9))
    labels = torch.arange(count) % CLASSES
    noise = torch.randn(count, features, generator=torch.Generator().manual_seed(seed))
    return 0.4 * centres[labels] + noise, labels


def test_its_weights_are_those_of_scikit_learn() -> None:
    embeddings, labels = clips(80, 0)
    reference = LogisticRegression(C=INVERSE_PENALTY, tol=1e-8, max_iter=5000).fit(
        embeddings.double().numpy(), labels.numpy()
    )
    probe = Probe.trained(embeddings, labels, CLASSES)
    assert torch.allclose(probe.weights, torch.from_numpy(reference.coef_), atol=1e-3)


def test_it_names_the_classes_that_scikit_learn_names() -> None:
    (embeddings, labels), (unseen, classes) = clips(80, 0), clips(200, 1)
    reference = LogisticRegression(C=INVERSE_PENALTY, tol=1e-8, max_iter=5000).fit(
        embeddings.double().numpy(), labels.numpy()
    )
    hits = Probe.trained(embeddings, labels, CLASSES).hits(unseen, classes)
    assert hits.tolist() == (reference.predict(unseen.double().numpy()) == classes.numpy()).tolist()


def test_the_same_clips_give_the_same_probe() -> None:
    first, again = (Probe.trained(*clips(80, 0), CLASSES) for _ in range(2))
    assert torch.equal(first.weights, again.weights)
    assert torch.equal(first.biases, again.biases)


def test_labels_that_say_nothing_teach_nothing() -> None:
    embeddings, labels = clips(200, 0)
    shuffled = labels[torch.randperm(200, generator=torch.Generator().manual_seed(1))]
    unseen, classes = clips(200, 1)
    assert float(Probe.trained(embeddings, shuffled, CLASSES).hits(unseen, classes).float().mean()) < 0.45


@pytest.mark.parametrize(("count", "features"), [(80, 60), (60, 80), (40, 3000)])
def test_it_finds_where_the_loss_is_flat(count: int, features: int) -> None:
    embeddings, labels = clips(count, 0, features)
    probe = Probe.trained(embeddings, labels, CLASSES)
    weights, biases = probe.weights.requires_grad_(), probe.biases.requires_grad_()
    scores = embeddings.double() @ weights.T + biases
    fit = torch.nn.functional.cross_entropy(scores, labels, reduction="sum")
    loss = 0.5 * weights.square().sum() + INVERSE_PENALTY * fit
    for gradient in torch.autograd.grad(loss, (weights, biases)):
        assert gradient.abs().max() < 1e-3


def test_clips_that_are_all_alike_teach_nothing_and_fail_nothing() -> None:
    probe = Probe.trained(torch.zeros(6, 20), torch.arange(6) % 2, 2)
    assert probe.weights.abs().max() == 0


def test_it_does_not_import_the_compiler_of_pytorch() -> None:
    program = (
        "import sys, torch; from feda2v_cli.quality.probe import Probe;"
        "Probe.trained(torch.randn(6, 9), torch.arange(6) % 2, 2); assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
