"""Runs one of Flower's processes, which ends when whoever started it has ended, however that was.

python -m feda2v_cli.flower.guarded superlink OPTIONS
"""

import os
import signal
import sys
import threading
import time

#: A process that does not end when it is asked to is ended.
GRACE_SECONDS = 5.0


def end_with_parent() -> None:
    """End this process when its stdin is closed, which is when whoever holds the other end has ended."""
    threading.Thread(target=_wait_for_parent, daemon=True, name="parent").start()


def _wait_for_parent() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(1)


def run_superlink() -> None:
    """Run Flower's SuperLink with the options of this process."""
    from flwr.superlink.cli import flower_superlink

    flower_superlink()


if __name__ == "__main__":
    if os.getpgrp() != os.getpid():
        os.setpgrp()  # Ctrl-C is for the command, which then ends this one
    end_with_parent()
    sys.argv = ["flower-superlink", *sys.argv[2:]]
    run_superlink()
