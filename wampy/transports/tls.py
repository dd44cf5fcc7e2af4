"""TLS as a pure layer between socket and framing: bytes in, bytes out, no I/O.

A context wrapped round a green socket can block the whole hub, and a TLS read can leave decrypted bytes behind
that no readiness event announces. Memory buffers have neither trouble.
"""

from __future__ import annotations

import ssl

from wampy.errors import WampyError


def client_context(cert_path: str | None = None) -> ssl.SSLContext:
    """Make a context that verifies the router's certificate and host name.

    Args:
        cert_path: A PEM file with the certificates to trust; left out, the system's are.

    Returns:
        A context for the client side.

    Raises:
        WampyError: The file cannot be read or holds no certificate.
    """
    try:
        return ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=cert_path)
    except (OSError, ssl.SSLError) as exc:
        raise WampyError(f"cert_path {cert_path!r} cannot be used as a PEM file of CA certificates: {exc}") from exc


class TlsLayer:
    """One TLS connection between two memory buffers.

    Args:
        context: The user's context, or `client_context`'s.
        host: The name that the certificate must carry.
    """

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    def handshake(self, data: bytes | None = None) -> bool:
        """Go on with the handshake as far as the bytes at hand allow.

        Args:
            data: What was read from the socket, ``b""`` at its end, ``None`` at first.

        Returns:
            Whether the handshake is complete; when it is not, more must be read.

        Raises:
            ssl.SSLError: The handshake failed, for example because the certificate was refused.
        """
        self._feed(data)
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def decrypt(self, data: bytes | None) -> tuple[bytes, bool]:
        """Take ciphertext and give all plaintext that it completes.

        Args:
            data: What was read from the socket, ``b""`` at its end, ``None`` for what is buffered.

        Returns:
            The plaintext, and whether the peer has ended the stream.

        Raises:
            ssl.SSLError: The stream is broken.
        """
        self._feed(data)
        pieces: list[bytes] = []
        while True:
            try:
                piece = self._object.read(262_144)
            except ssl.SSLWantReadError:
                return b"".join(pieces), False
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b"".join(pieces), True
            if not piece:
                return b"".join(pieces), True
            pieces.append(piece)

    def encrypt(self, data: bytes) -> None:
        """Queue plaintext; `take` gives the ciphertext."""
        view = memoryview(data)
        while view:
            view = view[self._object.write(view) :]

    def take(self) -> bytes:
        """Return what must be written to the socket now, ``b""`` for nothing."""
        return self._outgoing.read()

    def _feed(self, data: bytes | None) -> None:
        if data:
            self._incoming.write(data)
        elif data is not None:
            self._incoming.write_eof()
