"""Lets a SuperNode answer every message that it has taken, and no other.

It takes no message before the last one is answered, and waits for that without bound. Flower's own waits for the answer
of a task that failed, of one that was given away and whose message was never asked for, and takes the late answer to a
message that it gave up for the one that it waits for: in each case the node is connected, and dead.
"""

from importlib import import_module
from typing import Any


def leave_no_message_unanswered() -> None:
    """Change Flower's SuperNode of this process, before it is started."""
    _answer_for_tasks_that_failed()
    _wait_for_the_right_answer()


def _answer_for_tasks_that_failed() -> None:
    module: Any = import_module("flwr.supernode.nodestate.in_memory_nodestate")
    state: Any = module.InMemoryNodeState
    finish = state.finish_task

    def answer(self: Any, runs: set[int]) -> None:
        with self.lock_msg_store:
            for entry in self.msg_store.values():
                entry.is_retrieved |= entry.message.metadata.run_id in runs
            self._store_error_replies(runs, module.CLIENT_APP_CRASHED_ERROR)

    def finish_task(self: Any, task_id: int, sub_status: str, details: str) -> bool:
        finished = bool(finish(self, task_id, sub_status, details))
        if finished and sub_status == module.SubStatus.FAILED:
            answer(self, {task.run_id for task in self.get_tasks(task_ids=[task_id])})
        return finished

    state.finish_task = finish_task
    state._on_task_tokens_expired = lambda self, tasks: answer(self, {task.run_id for task in tasks})


def _wait_for_the_right_answer() -> None:
    loop: Any = import_module("flwr.supernode.start_client_internal")
    pull, push = loop._pull_and_store_message, loop._push_messages

    def pull_message(*, state: Any, **given: Any) -> Any:
        run = pull(state=state, **given)
        if run is None:  # nothing is there to be answered: what is left is of a message that came only in part
            state.delete_messages()
        return run

    def push_messages(*, state: Any, **given: Any) -> None:
        while _waits(state):
            push(state=state, **given)

    loop._pull_and_store_message, loop._push_messages = pull_message, push_messages


def _waits(state: Any) -> bool:
    """Whether a message is there without an answer that was sent: with that, Flower forgets both."""
    with state.lock_msg_store:
        return any(not entry.message.metadata.reply_to_message_id for entry in state.msg_store.values())
