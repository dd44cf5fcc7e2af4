"""TLS as a pure layer between socket and framing: bytes in, bytes out, no I/O.

A context wrapped round a green socket can block the whole hub, and a TLS read can leave decrypted bytes behind
that no readiness event announces. Memory buffers have neither trouble.
"""

from __future__ import annotations

import os
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Final

from wampy.config.transport import TransportOptions
from wampy.errors import WampyError

_CERTIFICATES: Final = ("*.pem", "*.crt", "*.cer")

# What a router says when it wants a certificate of the client's, or another one.
_CLIENT_CERTIFICATE: Final = ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE", "BAD_CERTIFICATE", "UNKNOWN_CA",
                              "CERTIFICATE_UNKNOWN", "ACCESS_DENIED", "CERTIFICATE_EXPIRED", "CERTIFICATE_REVOKED",
                              "UNSUPPORTED_CERTIFICATE")  # fmt: skip


def client_context(cert_path: str | os.PathLike[str] | None = None) -> ssl.SSLContext:
    """Make a context that verifies the router's certificate and host name.

    Args:
        cert_path: A PEM file with certificates to trust beside the system's, or a folder of such files (``*.pem``,
            ``*.crt``, ``*.cer``).

    Returns:
        A context for the client side.

    Raises:
        WampyError: The file cannot be read or holds no certificate.
    """
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    context.options |= ssl.OP_NO_RENEGOTIATION
    if cert_path is None:
        return context
    path = Path(cert_path)
    files = [path]
    if path.is_dir():
        files = sorted(file for pattern in _CERTIFICATES for file in path.glob(pattern))
        if not files:
            raise WampyError(f"cert_path {os.fspath(cert_path)!r} is a folder without {', '.join(_CERTIFICATES)}")
    for file in files:
        try:
            context.load_verify_locations(cafile=file)
        except (OSError, ssl.SSLError, ValueError) as exc:
            text = f"cert_path: {str(file)!r} cannot be used as a PEM file of CA certificates: {exc}"
            raise WampyError(text) from exc
    return context


def refusal(error: ssl.SSLError, where: str, options: TransportOptions | None = None) -> str:
    """Say why there is no TLS, and what would help.

    Args:
        error: What OpenSSL raised.
        where: The router's URL, without a password.
        options: The user's, for what was given already.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message.rstrip(".")
        return f"the certificate of {where} is not accepted: {reason}. {_remedy(reason, options or TransportOptions())}"
    name = error.reason or str(error)
    if "ALERT" in name and any(alert in name for alert in _CLIENT_CERTIFICATE):
        return (
            f"{where} refused TLS: {_words(name)}. It may want a client certificate, or another one: give "
            "ssl_context=<a context that has it, by load_cert_chain>"
        )
    if name in ("WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        return f"no TLS with {where}: it answers, but not in TLS. Is it a TLS port? {_plain(where)} is without TLS"
    if "UNEXPECTED_EOF" in name:
        return cut_off(where)
    if "VERSION" in name:
        return (
            f"no TLS with {where}: {_words(name)}. It has no version of TLS that the client's context allows (a "
            "Crossbar without dhparam has only TLS 1.3)"
        )
    return f"no TLS with {where}: {_words(name)}. Is it a TLS port? {_plain(where)} is without TLS"


def cut_off(where: str) -> str:
    """Say that the connection ended in the handshake.

    Args:
        where: The router's URL, without a password.
    """
    return f"no TLS with {where}: it closed the connection. Is it a TLS port? {_plain(where)} is without TLS"


def silence(where: str) -> str:
    """Say what was waited for when nothing came in the handshake, and what that may mean.

    Args:
        where: The router's URL, without a password.
    """
    return f"TLS handshake with {where} (a port without TLS may say nothing to it: {_plain(where)} is without TLS)"


def _remedy(reason: str, options: TransportOptions) -> str:
    if "not valid for" in reason:
        return "Use the host name that the certificate is for"
    if "expired" in reason:
        return "The router needs a new one, or this machine's clock is wrong"
    if "not yet valid" in reason:
        return "This machine's clock may be wrong"
    if "key usage" in reason.lower() or "Missing" in reason:
        return "Python's checks became stricter in 3.13; give a new certificate, or ssl_context=<your own context>"
    if options.ssl_context is not None:
        return "For a router with an authority of its own load that into the context, by load_verify_locations"
    if options.cert_path is not None:
        return f"Neither the system nor cert_path {os.fspath(options.cert_path)!r} has the authority that signed it"
    return "For a router with an authority of its own give cert_path=<the authority's PEM file>"


def _words(name: str) -> str:
    return name.replace("_", " ").lower()


def _plain(where: str) -> str:
    return where.partition("://")[0].replace("ss", "s", 1) + "://"


class TlsLayer:
    """One TLS connection between two memory buffers.

    Args:
        context: The user's context, or `client_context`'s.
        host: The name that the certificate must carry.
    """

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._held_back = b""
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
        ended = False
        while not ended:
            try:
                piece = self._object.read(262_144)
            except ssl.SSLWantReadError:
                break
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                piece = b""
            ended = not piece
            pieces.append(piece)
        if self._held_back and not ended:
            self.encrypt(b"")
        return b"".join(pieces), ended

    def encrypt(self, data: bytes | bytearray) -> None:
        """Queue plaintext; `take` gives the ciphertext.

        In a renegotiation, which a user's context may allow, it is held back until the peer has said its part.
        """
        view = memoryview(self._held_back + data if self._held_back else data)
        self._held_back = b""
        while view:
            try:
                view = view[self._object.write(view) :]
            except ssl.SSLWantReadError:
                self._held_back = bytes(view)
                return

    def end(self) -> bytes:
        """Say that no more plaintext will follow.

        Returns:
            The bytes that tell the peer so.
        """
        with suppress(ssl.SSLError):  # it wants the peer's own word, which the reader waits for
            self._object.unwrap()
        return self.take()

    def take(self) -> bytes:
        """Return what must be written to the socket now, ``b""`` for nothing."""
        return self._outgoing.read()

    def _feed(self, data: bytes | None) -> None:
        if data:
            self._incoming.write(data)
        elif data is not None:
            self._incoming.write_eof()
