"""A wire to a server that a test can cut."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from sqlalchemy.engine import make_url


class Link:
    """Forwards TCP to a server until it is cut (refuses) or frozen (accepts and is silent)."""

    def __init__(self, url: str) -> None:
        self._target = make_url(url)
        self._open: list[socket.socket] = []
        self._frozen = threading.Event()
        self.mend()
        self.url = self._target.set(host="127.0.0.1", port=self._port).render_as_string(
            hide_password=False
        )

    def cut(self) -> None:
        for each in [self._listener, *self._open]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._open.clear()

    def freeze(self) -> None:
        self._frozen.set()

    def mend(self) -> None:
        self._frozen.clear()
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", getattr(self, "_port", 0)))
        self._port = self._listener.getsockname()[1]
        self._listener.listen()
        threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection((self._target.host, self._target.port))
                self._open += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if not self._frozen.is_set():
                    target.sendall(data)
