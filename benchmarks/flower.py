"""What a round over Flower costs beyond the nodes' own computing, beside the smallest possible Flower app.

    python benchmarks/flower.py

Both have two nodes on this machine and send every node the adapters to both spaces and back. The smallest app has
neither TLS nor keys. The parts of its round are printed too. It needs the extra `flower`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from feda2v_cli.flower import link, supernode
from feda2v_cli.flower.process import flower_environment, free_port, wait_until
from feda2v_cli.job.federate.run import federate
from feda2v_cli.job.train_generators.run import train_generators
from feda2v_cli.profile.load import load_profile

#: Between two looks of a SuperNode for messages, and of a ServerApp for answers.
FLOWERS_POLL_SECONDS = 3.0
BIN = Path(sys.executable).parent
WEIGHTS = 57_792 + 57_600
PROFILE = """
[generator]
type = "gaussian"
[checkpoint]
every = 0
[federation]
local_epochs = 1
evaluate_every = 1000
[[nodes]]
id = 0
classes = ["dog", "cow"]
[[nodes]]
id = 1
classes = ["rain", "siren"]
"""
APP = """
import json, time
import numpy as np
from flwr.app import Array, ArrayRecord, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

client = ClientApp()
server = ServerApp()

@client.query()
def answer(message, context):
    return Message(RecordDict({"arrays": message.content["arrays"]}), reply_to=message)

@server.main()
def main(grid, context):
    while len(list(grid.get_node_ids())) < 2:
        time.sleep(0.2)
    seconds = []
    for _ in range(ROUNDS):
        started = time.monotonic()
        record = ArrayRecord({"flat": Array(np.random.rand(WEIGHTS).astype("float32"))})
        messages = [Message(RecordDict({"arrays": record}), node, "query") for node in grid.get_node_ids()]
        assert len(list(grid.send_and_receive(messages))) == 2
        seconds.append(time.monotonic() - started)
    open(RESULT, "w").write(json.dumps(seconds))
"""
PROJECT = """
[project]
name = "smallest"
version = "1.0.0"
license = "Apache-2.0"
[tool.flwr.app]
publisher = "benchmark"
[tool.flwr.app.components]
serverapp = "smallest:server"
clientapp = "smallest:client"
"""


def smallest(place: Path, rounds: int) -> list[float]:
    """Seconds of each round of the smallest app."""
    result = place / "seconds.json"
    app = place / "app"
    app.mkdir()
    code = APP.replace("ROUNDS", str(rounds)).replace("WEIGHTS", str(WEIGHTS)).replace("RESULT", repr(str(result)))
    (app / "smallest.py").write_text(code)
    (app / "pyproject.toml").write_text(PROJECT)
    (app / "LICENSE").write_text("Apache-2.0")
    home = place / "home"
    home.mkdir()
    port = free_port()
    (home / "config.toml").write_text(
        f'[superlink]\ndefault = "loop"\n[superlink.loop]\naddress = "127.0.0.1:{port}"\ninsecure = true\n'
    )
    environment = os.environ | flower_environment(home) | {"PATH": f"{BIN}:{os.environ['PATH']}"}
    log = (place / "log").open("w")

    def start(*words: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(words, env=environment, stdout=log, stderr=log)

    processes = [start("flower-superlink", "--insecure", "--host", "127.0.0.1", "--port", str(port),
                       "--disable-runtime-dependency-installation")]  # fmt: skip
    try:
        processes += [
            start("flower-supernode", "--insecure", "--superlink", f"127.0.0.1:{port}", "--host", "127.0.0.1",
                  "--port", str(free_port()))
            for _ in range(2)
        ]  # fmt: skip
        wait_until("the smallest app's server", 120, lambda: _is_there(port), lambda: None)
        subprocess.run(["flwr", "run", str(app), "loop"], env=environment, stdout=log, stderr=log, check=True)
        deadline = time.monotonic() + 60 + 60 * rounds
        while not (result.exists() and result.read_text()):
            if time.monotonic() > deadline:
                raise SystemExit(f"the smallest app has not ended:\n{(place / 'log').read_text()[-2000:]}")
            time.sleep(0.5)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
    return list(json.loads(result.read_text()))


def _is_there(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health").is_success
    except httpx.HTTPError:
        return False


def ours(place: Path, rounds: int) -> list[dict[str, float]]:
    """What was exchanged in each round of `feda2v federate --engine flower`."""
    profile = place / "profile.toml"
    profile.write_text(PROFILE)
    settings = [f"checkpoint.dir='{place}/generators'", f"checkpoint.adapter_dir='{place}/adapters'"]
    settings += [f"experiment.runs='{place}/runs'", f"federation.rounds={rounds}"]
    train_generators(load_profile(str(profile), settings=settings))
    done = federate(load_profile(str(profile), settings=[*settings, "federation.engine=flower"]))
    events = [json.loads(line) for line in (done.run_dir / "metrics.jsonl").read_text().splitlines()]
    return [event for event in events if event["event"] == "letters_exchanged" and event["round"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        theirs = smallest(Path(place), arguments.rounds)
    with tempfile.TemporaryDirectory() as place:
        rounds = ours(Path(place), arguments.rounds)
    beyond = [event["seconds"] - event["computing_seconds"] for event in rounds]
    start, imports = _seconds("pass"), _seconds("import flwr.clientapp")
    # The first round of both is another: the smallest installs its app, ours sends what a node needs for the run.
    small, warm = statistics.mean(theirs[1:]), statistics.mean(beyond[1:])
    sent = rounds[-1]["sent_bytes"] + rounds[-1]["received_bytes"]
    # A message waits half of what is between two looks for it, on average, and the answer as well.
    flowers_wait = (FLOWERS_POLL_SECONDS + FLOWERS_POLL_SECONDS) / 2
    own_wait = (supernode.POLL_SECONDS + 2 * supernode.WORKER_POLL_SECONDS + link.POLL_SECONDS) / 2
    print(f"2 nodes, {WEIGHTS:,} weights to each and back ({sent / 1e6:.1f} MB a round), {arguments.rounds} rounds")
    print(f"smallest Flower app      {small:6.2f} s a round: start of a client process {start:.2f}, its imports "
          f"{imports - start:.2f}, between looks {flowers_wait:.2f}, transfer and the rest "
          f"{small - imports - flowers_wait:.2f}")  # fmt: skip
    print(f"feda2v beyond computing  {warm:6.2f} s a round, {warm / small:.0%}: no process is started, between looks "
          f"{own_wait:.2f}, transfer and the rest {warm - own_wait:.2f}")  # fmt: skip
    print(
        f"feda2v computing         {statistics.mean(event['computing_seconds'] for event in rounds[1:]):6.2f} s a round"
    )


def _seconds(code: str) -> float:
    """Of a new Python process."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.monotonic() - started


if __name__ == "__main__":
    main()
