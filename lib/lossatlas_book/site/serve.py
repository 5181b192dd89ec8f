"""The built site on localhost."""

from __future__ import annotations

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ..console import Failure


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing about requests that went well."""


def server(html: Path, *, port: int) -> ThreadingHTTPServer:
    """Return a server of the site for this machine alone; port 0 takes a free one. Raises Failure if it is taken."""
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), partial(_Quiet, directory=str(html)))
    except (OSError, OverflowError) as error:
        raise Failure(f"port {port} cannot be used ({error}); try make serve PORT=8001") from error


def serve(html: Path, *, port: int) -> None:
    """Serve until interrupted."""
    with server(html, port=port) as running:
        print(f"The book is at http://localhost:{running.server_port}/ (Ctrl-C stops it)", flush=True)
        running.serve_forever()
