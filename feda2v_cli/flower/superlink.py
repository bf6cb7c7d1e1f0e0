"""Flower's SuperLink: what the nodes and the command connect to."""

from pathlib import Path

from feda2v_cli.flower.health import reachable
from feda2v_cli.flower.keys import AUTHORITY, CERTIFICATE, COMMAND_KEY, SERVER_KEY, Keys
from feda2v_cli.flower.process import Process, flower_environment, wait_until

#: A SuperLink is there in about a second on a free machine.
START_SECONDS = 120.0


def start_superlink(keys: Keys, host: str, port: int, directory: Path, *, lasting: bool) -> Process:
    """Start a SuperLink, and wait until it answers.

    Args:
        keys: of the server.
        host: the address on which it listens.
        port: likewise.
        directory: where its log and its state go.
        lasting: whether it knows its nodes again when it is started anew.

    Raises:
        MissingError: a key is not there.
        FailedError: it does not start.
    """
    directory.mkdir(parents=True, exist_ok=True)
    process = Process(
        "the server",
        "feda2v_cli.flower.guarded",
        [
            "superlink",
            "--host", host,
            "--port", str(port),
            "--isolation", "process",
            "--superexec-auth-secret-file", str(keys.file(COMMAND_KEY)),
            "--enable-supernode-auth",
            "--ssl-ca-certfile", str(keys.file(AUTHORITY)),
            "--ssl-certfile", str(keys.file(CERTIFICATE)),
            "--ssl-keyfile", str(keys.file(SERVER_KEY)),
            "--disable-runtime-dependency-installation",
            *(["--database", str(directory / "state.db")] if lasting else []),
        ],
        directory / "superlink.log",
        flower_environment(directory / "home"),
    )  # fmt: skip
    try:
        address = f"127.0.0.1:{port}"
        wait_until("the server", START_SECONDS, lambda: reachable(address, keys), process.check)
    except BaseException:
        process.end()
        raise
    return process
