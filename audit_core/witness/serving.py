"""A witness over HTTP: one path, `add-checkpoint`, with bounded requests."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from audit_core.errors import IntegrityError, Refused
from audit_core.witness.witness import MAX_REQUEST_BYTES, LogWitness, Response

READ_S = 10.0
"""Seconds that a client may take for one read."""
_PATH = "/add-checkpoint"


class WitnessServer(ThreadingHTTPServer):
    """The server of one witness; requests are answered one after the other."""

    daemon_threads = True

    def __init__(self, witness: LogWitness, *, host: str = "127.0.0.1", port: int = 0) -> None:
        """Bind the port; 0 for a free one.

        Raises:
            Refused: the address cannot be bound.
        """
        self.witness = witness
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise Refused(
                f"{host}:{port} cannot be served: {error}.", wanted="a free port.", remedy="choose another --port."
            ) from error

    @property
    def url(self) -> str:
        """Submission prefix for witness lists."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"


class _Handler(BaseHTTPRequestHandler):
    server: WitnessServer
    timeout = READ_S
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "assay-witness", ""

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self.path != _PATH:
            return self._send(Response(404, b"add-checkpoint only\n"))
        if not length.isdecimal() or len(length) > 9 or int(length) > MAX_REQUEST_BYTES:
            return self._send(Response(413, f"at most {MAX_REQUEST_BYTES} bytes\n".encode()))
        try:
            return self._send(self.server.witness.add_checkpoint(self.rfile.read(int(length))))
        except (IntegrityError, OSError) as error:
            # A witness that cannot read or write its record must not cosign.
            self.log_error("%s", error)
            return self._send(Response(500, b"the witness cannot use its record\n"))

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        # What was not read of a refused request would be taken for the next one.
        self.send_header("Connection", "close")
        self.close_connection = True
        self.end_headers()
        self.wfile.write(response.body)
