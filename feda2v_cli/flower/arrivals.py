"""Takes the nodes' answers from the server.

An answer is announced before its parts are there, and whoever announced it may have been killed since. Flower's own
waits for the parts of one answer, for minutes, while those of all other nodes are not looked at. Here nothing is waited
for: what is missing is asked for at the next look.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any


@dataclass
class _Answer:
    """An answer of which parts may be missing.

    Attributes:
        identity: of the answer.
        missing: ids of its parts that are not here.
        parts: the others.
    """

    identity: str
    missing: list[str]
    parts: dict[str, bytes] = field(default_factory=dict)


class Arrivals:
    """Answers that are on their way.

    Args:
        grid: Flower's connection to the server.
    """

    def __init__(self, grid: Any) -> None:
        self._grid = grid
        self._announced: dict[str, _Answer] = {}

    def look(self, sent: Collection[str]) -> dict[str, Any]:
        """What has arrived, by the id of the message that it answers; None for what the server has lost a part of.

        Args:
            sent: ids of the messages whose answers are waited for.
        """
        from flwr.proto.runtime_pb2 import PullAppMessagesRequest
        from flwr.supercore.inflatable.inflatable_object import iterate_object_tree
        from flwr.supercore.inflatable.inflatable_utils import ObjectPullError, ObjectUnavailableError

        self._announced = {question: answer for question, answer in self._announced.items() if question in sent}
        asked = [question for question in sent if question not in self._announced]
        if asked:
            pulled = self._grid._runtime_client.PullMessages(PullAppMessagesRequest(message_ids=asked))
            for message, tree in zip(pulled.messages_list, pulled.message_object_trees, strict=True):
                parts = dict.fromkeys(part.object_id for part in iterate_object_tree(tree))
                question = message.metadata.reply_to_message_id
                self._announced[question] = _Answer(message.metadata.message_id, list(parts))
        arrived: dict[str, Any] = {}
        for question, answer in list(self._announced.items()):
            try:
                arrived[question] = self._whole(answer)
            except ObjectUnavailableError:
                continue
            except ObjectPullError:
                arrived[question] = None
            del self._announced[question]
        return arrived

    def _whole(self, answer: _Answer) -> Any:
        from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest
        from flwr.supercore.inflatable.inflatable_protobuf_utils import make_pull_object_fn_protobuf
        from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents

        client, run_id = self._grid._runtime_client, self._grid.run.run_id
        pull = make_pull_object_fn_protobuf(client.PullObject, self._grid.node, run_id)
        while answer.missing:
            answer.parts[answer.missing[0]] = pull(answer.missing[0])
            del answer.missing[0]
        client.ConfirmMessageReceived(
            ConfirmMessageReceivedRequest(node=self._grid.node, run_id=run_id, message_object_id=answer.identity)
        )
        return inflate_object_from_contents(answer.identity, answer.parts)
