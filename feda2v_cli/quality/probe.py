"""A linear probe: what a classifier learns from samples, or from clips, about clips that it has not seen."""

from dataclasses import dataclass

import torch
from torch import Tensor

#: C of the penalty. Embeddings have far more features than there are clips, so that every probe separates those that
#: train it; a weak penalty then takes long to converge, and is no better on clips that it has not seen.
INVERSE_PENALTY = 0.01
MOST_STEPS = 300
#: The search ends where the loss is as flat as this.
LARGEST_GRADIENT = 1e-4


@dataclass(frozen=True)
class Probe:
    """A linear classifier.

    Attributes:
        weights: [classes, features].
        biases: [classes].
    """

    weights: Tensor
    biases: Tensor

    @classmethod
    def trained(cls, embeddings: Tensor, labels: Tensor, classes: int) -> "Probe":
        """Multinomial logistic regression with a quadratic penalty, to convergence; the same input, the same probe.

        It minimises ½ ‖W‖² − C Σ_n log softmax(W x_n + b)_{c_n} from zero, with L-BFGS. The optimum's weights are
        combinations of the embeddings (representer theorem: Kimeldorf and Wahba, 1971), so that it is searched in their
        span where they are fewer than features: with Xᵀ = Q R the weights are W Qᵀ, and the items Rᵀ.

        Args:
            embeddings: [items, features], standardised.
            labels: [items], each from 0 to classes − 1.
            classes: how many there are.
        """
        items = embeddings.double()
        basis: Tensor | None = None  # [features, items]
        if items.shape[0] < items.shape[1]:
            basis, triangle = torch.linalg.qr(items.T)
            items = triangle.T
        weights = torch.zeros(classes, items.shape[1], dtype=torch.double, requires_grad=True)
        biases = torch.zeros(classes, dtype=torch.double, requires_grad=True)
        optimiser = torch.optim.LBFGS(
            [weights, biases],
            max_iter=MOST_STEPS,
            tolerance_grad=LARGEST_GRADIENT,
            tolerance_change=1e-12,
            line_search_fn="strong_wolfe",
        )

        def closure() -> Tensor:
            optimiser.zero_grad()
            fit = torch.nn.functional.cross_entropy(items @ weights.T + biases, labels, reduction="sum")
            loss = 0.5 * weights.square().sum() + INVERSE_PENALTY * fit
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        optimiser.step(closure)  # type: ignore[no-untyped-call]
        found = weights.detach()
        return cls(found if basis is None else found @ basis.T, biases.detach())

    def hits(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Whether the probe names the class of each embedding, bool [items].

        Args:
            embeddings: [items, features], standardised like those that trained.
            labels: [items].
        """
        scores = embeddings.double() @ self.weights.T + self.biases
        return scores.argmax(1) == labels
