"""What the server trains itself, on synthetic samples: after aggregation, or as a strategy has it."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from feda2v_cli.engine.stack import Stack
from feda2v_cli.engine.train import Loss, ModelData, Optimiser, Trainer
from feda2v_cli.federation.inputs import groups_of
from feda2v_cli.federation.local_training import adapter_loss
from feda2v_cli.federation.pool import Pool, learning_rates
from feda2v_cli.federation.space import Space
from feda2v_cli.profile.schema import AdapterSection


@dataclass(frozen=True)
class ServerTraining:
    """How the server trains in a round.

    Attributes:
        section: batch size and optimiser.
        epochs: of a round.
        learning_rate_share: of the learning rates, in this round.
        device: where training happens.
        seed: of the run.
        number: of the round, from 1.
    """

    section: AdapterSection
    epochs: int
    learning_rate_share: float
    device: torch.device
    seed: int
    number: int

    def fine_tune(self, server: Tensor, samples: Tensor, space: Space, pool: Pool) -> Tensor:
        """The server's adapter after training on samples of all classes, [parameters].

        Args:
            server: the adapter before, [parameters].
            samples: their places in the pool, sorted by their tokens, [samples].
            space: the target space.
            pool: what the places mean.
        """
        loss = adapter_loss(space, pool, self.section.noise)
        return self.train(server, {"item": samples}, loss, space, pool, "fine-tune")

    def train(
        self, server: Tensor, items: Mapping[str, Tensor], loss: Loss, space: Space, pool: Pool, task: str
    ) -> Tensor:
        """The server's adapter after training, [parameters].

        Args:
            server: the adapter before, [parameters].
            items: what it trains on, by name; the first axis of each counts the items. Those called `item` are places
                in the pool, sorted by their tokens.
            loss: on these items.
            space: the target space.
            pool: what places among the items mean.
            task: tells the random stream from those of other training of the server.
        """
        section = self.section
        stack = Stack(space.shapes, server[None].to(self.device).clone())
        trainer = Trainer(
            stack,
            [
                ModelData(
                    (space.name, "server", task),
                    items,
                    pool.noise_width(section.noise),
                    groups=tuple(groups_of(pool.embeddings, items["item"]).values()),
                )
            ],
            loss,
            Optimiser(
                section.batch_size,
                learning_rates(section)[space.name] * self.learning_rate_share,
                section.weight_decay_of(space.name),
                section.clip_norm,
            ),
            self.seed,
            pool.inputs,
        )
        trainer.train_round(self.number, self.number, self.epochs)
        return stack.weights[0].cpu()
