"""An S3 server on the loopback (moto's), and a proxy that cuts its connections."""

import contextlib
import logging
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_CHUNK = 1 << 14
_SURELY = 1 << 12
_SERVER = Path(__file__).with_name("s3_server.py")


@dataclass(frozen=True)
class Server:
    """Where it is."""

    address: str
    closing: str  # another address, where a connection ends after one request


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """A server that speaks the real protocol, in a process of its own."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, _SERVER], stdin=pipe, stdout=pipe, text=True) as server:
        assert server.stdout is not None
        try:
            yield Server(*server.stdout.readline().split())
        finally:
            server.kill()


def use(server: Server, patch: pytest.MonkeyPatch) -> None:
    """The environment in which clients find the server."""
    patch.setenv("AWS_ENDPOINT_URL", server.address)
    patch.setenv("AWS_ACCESS_KEY_ID", "tester")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "of-no-use")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    patch.setenv("SCOREMIX_STORE_PATIENCE", "30")


@contextlib.contextmanager
def reached_at(address: str) -> Iterator[None]:
    """Clients of this process reach the server there: those of before know where it was."""
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", address)
        yield
    S3FileSystem.clear_instance_cache()


@contextlib.contextmanager
def serving_here() -> Iterator[str]:
    """The address of one in a thread of this process, for tests that change what moto answers."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@dataclass
class CuttingProxy:
    """Forwards TCP to `target`; every connection may be cut at a random moment, and all at once.

    The seed decides of every connection whether it is cut (of so many: `often`) and after how many
    bytes, fewer than `within`, counted in both directions. `surely` cuts one upload, whatever the
    order of the connections: the first of more than `_SURELY` bytes. `down` refuses and cuts all.
    """

    target: str  # http://host:port
    seed: int
    often: float = 0.0  # of all connections
    within: int = 1 << 20
    cuts: int = 0
    uploads_cut: int = 0  # of these, with some of the bytes on their way to the server
    _open: set[socket.socket] = field(default_factory=set)
    _down: bool = False

    def reset(
        self, seed: int, often: float, within: int | None = None, *, surely: bool = False
    ) -> None:
        """Another line: what is open stays open, what was counted is forgotten."""
        self._random, self.often, self.within = random.Random(seed), often, within or self.within
        self.cuts = self.uploads_cut = 0
        self._surely = surely

    def __post_init__(self) -> None:
        self._random, self._surely = random.Random(self.seed), False
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def down(self) -> None:
        """From here on nobody gets through, until `up`."""
        with self._lock:
            self._down = True
            there, self._open = self._open, set()
            self.cuts += len(there)
        for end in there:
            _close(end)

    def up(self) -> None:
        self._down = False

    def close(self) -> None:
        self.down()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                if self._down:
                    _close(client)
                    continue
                host, port = self.target.removeprefix("http://").split(":")
                server = socket.create_connection((host, int(port)))
                cut = self._random.random() < self.often
                left = [self._random.randrange(self.within) if cut else -1]
                self._open |= {client, server}
                for ends in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._pump, args=(*ends, left), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, up: bool, left: list[int]) -> None:
        """One direction, until either end closes or the connection's bytes are used up."""
        sent = 0
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                if up and self._surely and sent + len(data) > _SURELY:
                    self._surely, left[0] = False, _SURELY - sent
                sent += len(data)
                if left[0] >= 0:
                    if left[0] < len(data):
                        self.cuts += 1
                        self.uploads_cut += up
                        sink.sendall(data[: left[0]])
                        break
                    left[0] -= len(data)
                sink.sendall(data)
        for end in (source, sink):
            self._open.discard(end)
            _close(end)


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
