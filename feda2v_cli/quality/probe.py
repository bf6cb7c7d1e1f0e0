"""A linear probe: what a classifier learns from samples, or from clips, about clips that it has not seen."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

#: C of the penalty. Embeddings have far more features than there are clips, so that every probe separates those that
#: train it; a weak penalty then takes long to converge, and is no better on clips that it has not seen.
INVERSE_PENALTY = 0.01
MOST_STEPS = 300
#: The search ends where the loss is as flat as this.
LARGEST_GRADIENT = 1e-4
#: Of a step's direction, from the last steps (m of Nocedal, 1980).
REMEMBERED_STEPS = 10
#: About p (1 − p) of the probabilities p that a converged probe gives: how curved the loss is along an item.
FITTED_CURVATURE = 0.01
#: Share of the decrease that the slope promises which a step must bring (Nocedal and Wright, 2006, section 3.1).
SMALLEST_DECREASE = 1e-4
#: A step that has to be shorter is lost in rounding.
SHORTEST_STEP = 1e-10
#: Principal axes with less than this share of the largest variance are rounding.
SMALLEST_VARIANCE_SHARE = 1e-12

#: A point -> the loss there, and its gradient.
Loss = Callable[[Tensor], tuple[float, Tensor]]


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

        It minimises ½ ‖W‖² − C Σ_n log softmax(W x_n + b)_{c_n} from zero. The optimum's weights are combinations of
        the embeddings (representer theorem: Kimeldorf and Wahba, 1971), so that they are searched along the principal
        axes of these, X = U S Vᵀ. Along an axis with singular value s the loss curves by about 1 + C κ s², with κ the
        mean of p (1 − p); weights in units of the root of it converge in a third of the steps.

        Args:
            embeddings: [items, features], standardised.
            labels: [items], each from 0 to classes − 1.
            classes: how many there are.
        """
        items = embeddings.double()
        scores, axes_of = _principal_axes(items)  # U S [items, axes]
        curvature = INVERSE_PENALTY * FITTED_CURVATURE
        units = (1 + curvature * scores.square().sum(0)).rsqrt()  # [axes]
        bias_unit = (curvature * len(items)) ** -0.5
        # The last row of a point [axes + 1, classes] is the biases, on which there is no penalty.
        inputs = torch.cat([scores * units, scores.new_full((len(items), 1), bias_unit)], dim=1)
        penalty = torch.cat([units.square(), units.new_zeros(1)]).unsqueeze(1)
        wanted = torch.nn.functional.one_hot(labels, classes).double()  # [items, classes]

        def loss(point: Tensor) -> tuple[float, Tensor]:
            log_probability = (inputs @ point).log_softmax(1)
            fit = -(log_probability * wanted).sum()
            slope = inputs.T @ (log_probability.exp() - wanted)
            value = 0.5 * (penalty * point.square()).sum() + INVERSE_PENALTY * fit
            return float(value), penalty * point + INVERSE_PENALTY * slope

        found = _minimum(loss, inputs.new_zeros(inputs.shape[1], classes))
        weights = axes_of(units.unsqueeze(1) * found[:-1])
        return cls(weights.T, bias_unit * found[-1])

    def hits(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Whether the probe names the class of each embedding, bool [items].

        Args:
            embeddings: [items, features], standardised like those that trained.
            labels: [items].
        """
        scores = embeddings.double() @ self.weights.T + self.biases
        return scores.argmax(1) == labels


def _principal_axes(items: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Scores U S [items, axes] of X = U S Vᵀ, and V as a function of [axes, …] to [features, …].

    Of the two Gram matrices the smaller is decomposed: X Xᵀ = U S² Uᵀ, or Xᵀ X = V S² Vᵀ.
    """
    if len(items) < items.shape[1]:
        variances, left = torch.linalg.eigh(items @ items.T)
        kept = variances > SMALLEST_VARIANCE_SHARE * variances[-1]
        left, singular = left[:, kept], variances[kept].sqrt()
        return left * singular, lambda point: items.T @ (left / singular @ point)  # V = Xᵀ U S⁻¹
    _, right = torch.linalg.eigh(items.T @ items)
    return items @ right, lambda point: right @ point


def _minimum(loss: Loss, start: Tensor) -> Tensor:
    """Where a smooth, strictly convex loss is flat, by L-BFGS (Nocedal, 1980).

    A step is halved until it brings enough of the decrease that its slope promises; for a convex loss that suffices
    (Byrd and Nocedal, 1989). PyTorch's own optimiser imports its compiler: two seconds, and 170 MB.
    """
    point = start
    value, gradient = loss(point)
    remembered: deque[tuple[Tensor, Tensor]] = deque(maxlen=REMEMBERED_STEPS)
    for _ in range(MOST_STEPS):
        if gradient.abs().max() < LARGEST_GRADIENT:
            break
        direction = -_quasi_newton(gradient, remembered)
        promised = float((direction * gradient).sum())
        length = 1.0
        while True:
            step = length * direction
            new_value, new_gradient = loss(point + step)
            if new_value <= value + SMALLEST_DECREASE * length * promised:
                break
            length /= 2
            if length < SHORTEST_STEP:  # rounding: it is as low as it gets
                return point
        remembered.append((step, new_gradient - gradient))
        point, value, gradient = point + step, new_value, new_gradient
    return point


def _quasi_newton(gradient: Tensor, remembered: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """H g: the gradient times the inverse Hessian that the last steps s and changes of gradient y tell of.

    The two loops of Nocedal and Wright (2006), algorithm 7.4: ρ = 1 / sᵀy, α = ρ sᵀq, q ← q − α y back in time, then
    q ← (sᵀy / yᵀy) q of the last step, and q ← q + (α − ρ yᵀq) s forward.
    """
    result = gradient
    shares = []
    for step, change in reversed(remembered):
        share = (step * result).sum() / (step * change).sum()
        shares.append(share)
        result = result - share * change
    if remembered:
        step, change = remembered[-1]
        result = result * ((step * change).sum() / change.square().sum())
    for (step, change), share in zip(remembered, reversed(shares), strict=True):
        result = result + (share - (change * result).sum() / (step * change).sum()) * step
    return result
