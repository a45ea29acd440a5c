"""scoremix-pipeline as a program, for scripts that start it: its processes are forked.

A script's every start of a new interpreter would take seconds until torch is imported.
"""

import contextlib
import json
import shlex
import socketserver
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import forked

CLIENT = Path(__file__).with_name("client.py")


@contextlib.contextmanager
def program(path: Path) -> Iterator[Path]:
    """Makes `path` the program, for as long as the block lasts."""
    with TemporaryDirectory() as short:  # the name of a socket may have 107 bytes
        place = Path(short, "socket")
        words = shlex.join([sys.executable, "-I", "-S", str(CLIENT), str(place)])
        path.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        path.chmod(0o755)
        with _Server(str(place), _Handler) as server:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            try:
                yield path
            finally:
                server.shutdown()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        words, environment, folder = json.loads(self.rfile.readline())
        process = forked.Started(words, environment, folder=folder)
        self.wfile.write(f"{process.pid}\n".encode())
        out, error = process.communicate(300)
        self.wfile.write(json.dumps([process.returncode, out, error]).encode() + b"\n")
