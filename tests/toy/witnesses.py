"""Witnesses in processes of their own, on real sockets; and lists of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from toy.packs import ToyKey

from audit_core.verifier.cosignature import Witness, write_vkey
from audit_core.witness.identity import WitnessIdentity

_SERVE = """
import sys
from pathlib import Path
from audit_core.verifier.trust import read_trust
from audit_core.witness.identity import open_identity
from audit_core.witness.serving import WitnessServer
from audit_core.witness.witness import LogWitness

folder, trust = Path(sys.argv[1]), read_trust(Path(sys.argv[2]).read_bytes())
server = WitnessServer(LogWitness(folder, open_identity(folder), trust), port=int(sys.argv[3]))
print(server.url, flush=True)
server.serve_forever()
"""


class WitnessProcess:
    """One witness in its own process; it may be stopped and started again on its record."""

    def __init__(self, folder: Path, identity: WitnessIdentity, trust: Path) -> None:
        self.folder, self.identity, self.trust, self.port = folder, identity, trust, 0
        self.begin()

    def begin(self) -> None:
        command = [sys.executable, "-c", _SERVE, str(self.folder), str(self.trust), str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def wait(self) -> Witness:
        """The witness as a reader lists it, once it listens."""
        assert self.process.stdout is not None
        url = self.process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), "the witness did not start"
        self.port = int(url.rsplit(":", 1)[1])
        return Witness(self.identity.name, self.identity.key.public_key, url)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def write_list(witnesses: Sequence[Witness], quorum: int) -> bytes:
    """A witness list in TOML."""
    rows = "".join(f'\n[[witnesses]]\nkey = "{one.vkey}"\nurl = "{one.url}"\n' for one in witnesses)
    return f'schema = "assay/witnesses/1"\nquorum = {quorum}\n{rows}'.encode()


def as_identity(name: str) -> WitnessIdentity:
    """A witness with a key anybody can make again from its name."""
    return WitnessIdentity(name, ToyKey(name))  # type: ignore[arg-type]


def as_witness(identity: WitnessIdentity, url: str = "") -> Witness:
    assert write_vkey(identity.name, identity.key.public_key).startswith(f"{identity.name}+")
    return Witness(identity.name, identity.key.public_key, url)
