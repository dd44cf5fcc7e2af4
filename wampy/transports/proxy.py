"""The way through an HTTP proxy: CONNECT (RFC 9110, section 9.3.6), on the Sans-I/O core of the `h11` library."""

from __future__ import annotations

import base64
import ipaddress
from importlib import import_module
from typing import Any, Final

from wampy.errors import AddressError, ConnectionError, HandshakeError, WampyError
from wampy.texts import shown
from wampy.transports.connection import Connection
from wampy.urls import ProxyUrl, RouterUrl, parse_proxy

# What the environment may say, the first that is there counts: the scheme's own, then HTTP's, then everybody's.
_VARIABLES: Final = {"ws": ("ws", "http", "all"), "wss": ("wss", "https", "all")}

_CAUSES: Final = {
    403: "the proxy does not allow this address",
    405: "it may be a web server and no proxy",
    502: "the proxy cannot reach the router",
    503: "the proxy cannot reach the router",
    504: "the proxy cannot reach the router",
}


def proxy_for(url: RouterUrl, proxy: bool | str) -> ProxyUrl | None:
    """Say through which proxy a router is reached.

    Args:
        url: The router's address.
        proxy: A proxy's URL; ``True`` for what the environment says; ``False`` for none. The environment counts for
            WebSockets to other machines only.

    Returns:
        The proxy, or ``None`` when there is none.

    Raises:
        AddressError: The proxy's URL cannot be used.
        WampyError: A proxy needs a package that is not installed; the text names the extra.
    """
    proxy_url = _choose(url, proxy)
    if proxy_url is not None:
        _h11()
    return proxy_url


def _choose(url: RouterUrl, proxy: bool | str) -> ProxyUrl | None:
    if url.socket_path is not None or proxy is False:
        return None
    if isinstance(proxy, str):
        return parse_proxy(proxy)
    if url.scheme not in _VARIABLES or _is_loopback(url.server_name):
        return None
    # Only now: it brings HTTP and e-mail with it, for a twentieth of a program's start.
    from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

    proxies = getproxies_environment()
    host = url.server_name
    # urllib's own test: names, their ends, and "*"; with and without the port.
    if any(proxy_bypass_environment(each, proxies) for each in (host, f"{host}:{url.port}", f"[{host}]")):
        return None
    for name in _VARIABLES[url.scheme]:
        if proxies.get(name):
            return _of_environment(f"{name}_proxy", proxies[name])
    return None


def _of_environment(variable: str, value: str) -> ProxyUrl:
    # Many programs take a proxy without a scheme.
    try:
        return parse_proxy(value if "://" in value else f"http://{value}")
    except AddressError as exc:
        remedy = f"it comes from the environment's {variable}; give proxy=False to pass it over, or proxy=<another>"
        raise AddressError(exc.url, exc.problem, remedy) from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def tunnel(connection: Connection, proxy: ProxyUrl, deadline: float | None) -> None:
    """Ask a proxy, to which there is a connection, for the way to the router; waits.

    Args:
        connection: Open to the proxy; when this returns, its bytes are the router's.
        proxy: The proxy.
        deadline: When to give up.

    Raises:
        HandshakeError: The proxy refuses, or is none.
        ConnectionError: It broke the connection off.
        WampyTimeOutError: The deadline has come.
    """
    h11 = _h11()
    url = connection.url
    core: Any = h11.Connection(our_role=h11.CLIENT)
    host = f"[{url.server_name}]" if ":" in url.server_name else url.server_name
    target = f"{host}:{url.port}"
    headers = [("Host", target)]
    if proxy.username is not None:
        secret = base64.b64encode(f"{proxy.username}:{proxy.password or ''}".encode()).decode()
        headers.append(("Proxy-Authorization", f"Basic {secret}"))
    request = core.send(h11.Request(method="CONNECT", target=target, headers=headers))
    what = f"answer of the proxy {proxy.redacted} about"
    try:
        connection.write_all(request + core.send(h11.EndOfMessage()), deadline, what)
        response = _response(h11, core, connection, what, deadline)
    except h11.RemoteProtocolError as exc:
        raise HandshakeError(
            f"the proxy {proxy.redacted} for {url.redacted} does not answer in HTTP: {exc}. Is it an HTTP proxy?"
        ) from exc
    except HandshakeError:
        raise
    except ConnectionError as exc:
        if type(exc) is not ConnectionError:
            raise
        raise ConnectionError(f"the proxy {proxy.redacted} for {exc}") from exc
    if not 200 <= response.status_code < 300:
        raise _refused(proxy, url, response)
    if core.trailing_data[0]:
        # A router says nothing before it is asked.
        raise HandshakeError(f"the proxy {proxy.redacted} said more than its answer before {url.redacted} was asked")


def _response(h11: Any, core: Any, connection: Connection, what: str, deadline: float | None) -> Any:
    while True:
        event = core.next_event()
        if event is h11.NEED_DATA:
            data = connection.read_raw(what, deadline)
            if not data and core.their_state is h11.SEND_RESPONSE and not core.trailing_data[0]:
                raise HandshakeError(f"no {what} {connection.url.redacted}: it closed the connection without one")
            core.receive_data(data)
        elif isinstance(event, h11.Response):
            return event
        elif not isinstance(event, h11.InformationalResponse):
            raise HandshakeError(f"no {what} {connection.url.redacted}: it closed the connection without one")


def _refused(proxy: ProxyUrl, url: RouterUrl, response: Any) -> HandshakeError:
    status = response.status_code
    reason = shown(response.reason.decode("ascii", "replace"))
    cause = _CAUSES.get(status, "is it a proxy that lets CONNECT through to this port?")
    if status == 407:
        cause = "the proxy wants a user and a password; write it as http://user:password@host:port"
        if proxy.username is not None:
            cause = "the proxy does not accept this user and password"
    text = f"the proxy {proxy.redacted} does not connect to {url.redacted}: HTTP {status} {reason}".rstrip()
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    return HandshakeError(f"{text}: {cause}", status, headers)


def _h11() -> Any:
    try:
        return import_module("h11")
    except ImportError as error:
        raise WampyError(
            "a proxy needs a package that is not installed: pip install 'wampy[proxy]'; give proxy=False to "
            f"connect without one ({error})"
        ) from error
