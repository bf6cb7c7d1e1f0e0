"""What the server trains itself, on synthetic samples: fine-tuning after aggregation, and distillation."""

from collections.abc import Mapping

from torch import Tensor
from torch.func import functional_call

from feda2v_cli.engine.stack import Stack
from feda2v_cli.engine.train import Loss, ModelData, Optimiser, Trainer
from feda2v_cli.errors import FailedError
from feda2v_cli.federation.local_training import adapter_loss
from feda2v_cli.federation.pool import Pool
from feda2v_cli.federation.setup import Setup
from feda2v_cli.federation.space import Space
from feda2v_cli.federation.strategy.distillation import Teaching


def fine_tune(row: Tensor, samples: Tensor, space: Space, pool: Pool, setup: Setup, round_number: int) -> Tensor:
    """The server's adapter after training on samples of all classes, [row].

    Args:
        row: the adapter, [row].
        samples: their places in the pool, [samples].
        space: the target space.
        pool: what the places mean.
        setup: the federation.
        round_number: from 1.
    """
    loss = adapter_loss(space, pool, setup.adapter.noise)
    return _train(row, {"item": samples}, loss, space, pool, setup, round_number, "fine-tune")


def distil(row: Tensor, teaching: Teaching, space: Space, pool: Pool, setup: Setup, round_number: int) -> Tensor:
    """The server's adapter after learning what the nodes say of the samples, [row].

    Args:
        row: the adapter, [row].
        teaching: what they say.
        space: the target space.
        pool: what the samples' places mean.
        setup: the federation.
        round_number: from 1.

    Raises:
        FailedError: no node that takes part knows a class of which there are samples.
    """
    samples, said = teaching.lessons()
    if not len(samples):
        raise FailedError(
            f"round {round_number}: no node that takes part knows a class of which there are samples",
            ["distillation has no teacher"],
            hint="--set federation.fraction=1.0, or another strategy: --strategy fedavg",
        )
    items = {"item": samples, "said": said.to(setup.device)}
    loss = _distillation_loss(space, pool, setup.adapter.noise)
    return _train(row, items, loss, space, pool, setup, round_number, "distil")


def _distillation_loss(space: Space, pool: Pool, input_noise: float) -> Loss:
    def loss(
        parameters: Mapping[str, Tensor],
        batch: Mapping[str, Tensor],
        noise: Tensor,
        progress: Tensor,  # noqa: ARG001 - every round is like the first
    ) -> dict[str, Tensor]:
        inputs = pool.noisy(batch["item"], input_noise, noise)
        output = functional_call(space.adapter, dict(parameters), (inputs,))
        return {"loss": (output - batch["said"]).square().flatten(1).mean(1)}

    return loss


def _train(
    row: Tensor,
    items: Mapping[str, Tensor],
    loss: Loss,
    space: Space,
    pool: Pool,
    setup: Setup,
    round_number: int,
    task: str,
) -> Tensor:
    section = setup.adapter
    rate = section.clip_learning_rate if space.name == "clip" else section.t5_learning_rate
    rate *= setup.learning_rate_share(round_number)
    stack = Stack(space.shapes, row[None].to(setup.device).clone())
    trainer = Trainer(
        stack,
        [ModelData((space.name, "server", task), items, pool.noise_width(section.noise))],
        loss,
        Optimiser(section.batch_size, rate, section.weight_decay, section.clip_norm),
        setup.seed,
    )
    trainer.train_round(round_number, round_number, setup.federation.server_epochs)
    return stack.weights[0].cpu()
