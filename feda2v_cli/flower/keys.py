"""Who may talk to whom: a certificate for the server, and a key for every node.

    ca.crt        everywhere      makes sure that the server is the server
    server.crt    the server      its certificate, for the names under which it is reached
    server.key    the server      its private key
    command.key   server, command whoever has it may direct the federation
    node_0.key    node 0 alone    its private key
    node_0.pub    server, command what node 0 is known by

The authority's own key is used once and never written: nobody can make another server.
"""

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from feda2v_cli.errors import MissingError, OverwriteError, UsageError

AUTHORITY, CERTIFICATE, SERVER_KEY, COMMAND_KEY = "ca.crt", "server.crt", "server.key", "command.key"
if TYPE_CHECKING:
    from cryptography.x509 import GeneralName

#: A federation is set up for a project; then keys are made anew.
VALID_DAYS = 730
_SECRET_BYTES = 32


def node_key(node: int) -> str:
    """File name of a node's private key."""
    return f"node_{node}.key"


def node_public_key(node: int) -> str:
    """File name of what a node is known by."""
    return f"node_{node}.pub"


@dataclass(frozen=True)
class Keys:
    """A directory of keys; each machine has some of its files.

    Attributes:
        directory: where they lie.
    """

    directory: Path

    def file(self, name: str) -> Path:
        """One of the files.

        Raises:
            MissingError: it is not there.
            UsageError: it is a private file that others can read.
        """
        path = self.directory / name
        if not path.is_file():
            raise MissingError(
                f"{path} is not there",
                [f"{self.directory} has {', '.join(sorted(os.listdir(self.directory)))}"]
                if self.directory.is_dir()
                else [f"there is no directory {self.directory}"],
                hint="feda2v flower keys -o DIR --host NAME --nodes N makes all of them, and says which goes where",
            )
        if path.suffix == ".key" and path.stat().st_mode & 0o077:
            raise UsageError(f"{path} can be read by others — its permissions must be 0600", hint=f"chmod 600 {path}")
        return path

    def nodes(self) -> dict[int, bytes]:
        """The public keys that are there, by node.

        Raises:
            MissingError: there is none.
        """
        found = {}
        for path in self.directory.glob("node_*.pub"):
            number = path.stem.removeprefix("node_")
            if number.isdecimal():
                found[int(number)] = path.read_bytes()
        if not found:
            self.file(node_public_key(0))
        return dict(sorted(found.items()))


def make_keys(directory: Path, hosts: Sequence[str], nodes: Sequence[int], *, force: bool = False) -> list[Path]:
    """Make the keys of a federation.

    Args:
        directory: where they go; it is made, for its owner alone.
        hosts: names and addresses under which the server is reached.
        nodes: ids of the nodes.
        force: overwrite keys that are there.

    Returns:
        The files.

    Raises:
        OverwriteError: some are there.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    names = [AUTHORITY, CERTIFICATE, SERVER_KEY, COMMAND_KEY]
    names += [name for node in nodes for name in (node_key(node), node_public_key(node))]
    there = [str(directory / name) for name in names if (directory / name).exists()]
    if there and not force:
        raise OverwriteError(
            f"{len(there)} keys are there already",
            [*there[:3], *(["…"] if len(there) > 3 else [])],
            hint="--force overwrites: every machine then needs its new files",
        )
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    # The server itself reaches it under these.
    names_of_server = list(dict.fromkeys([*hosts, "localhost", "127.0.0.1"]))
    authority_certificate, certificate, server_key = _certificates(names_of_server)
    content = {AUTHORITY: authority_certificate, CERTIFICATE: certificate, SERVER_KEY: server_key}
    content[COMMAND_KEY] = secrets.token_hex(_SECRET_BYTES).encode()
    for node in nodes:
        key = ec.generate_private_key(ec.SECP384R1())
        # Flower reads no other format of private keys.
        content[node_key(node)] = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        content[node_public_key(node)] = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    paths = []
    for name, value in content.items():
        path = directory / name
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(value)
        paths.append(path)
    return paths


def _certificates(hosts: Sequence[str]) -> tuple[bytes, bytes, bytes]:
    """An authority's certificate, one that it gives to the server, and the server's key, as PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def named(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    now = datetime.now(UTC)
    authority_key, server_key = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP384R1())
    authority = named(f"feda2v {secrets.token_hex(4)}")

    def certificate(subject: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))  # clocks differ
            .not_valid_after(now + timedelta(days=VALID_DAYS))
        )

    alternatives = x509.SubjectAlternativeName([_alternative(host) for host in hosts])
    issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    unused = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    usage = dict.fromkeys((*unused, "encipher_only", "decipher_only"), False)
    own = (
        certificate(authority, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=False, key_cert_sign=True, crl_sign=True, **usage), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA384())
    )
    given = (
        certificate(named(hosts[0][:64]), server_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(alternatives, critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(issued_by, critical=False)
        .sign(authority_key, hashes.SHA384())
    )
    pem = serialization.Encoding.PEM
    private = server_key.private_bytes(
        pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return own.public_bytes(pem), given.public_bytes(pem), private


def _alternative(host: str) -> "GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
