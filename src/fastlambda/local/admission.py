"""Who may speak to the local endpoint, and what one peer may cost: sockets of a machine that runs a browser, too.

Owns the check of a request's head, and the bounds on connections, bytes and times.  Promises: a web page gets nothing
and changes nothing, whatever name it was loaded from: its requests name another host, or an origin.  What runs on this
machine as a program can speak to the endpoint: the protocol has no password.
Must not know: sockets, threads, the Runtime API's states.
"""

import ipaddress
from collections.abc import Mapping

from fastlambda.local.machine import Answer, forbidden

# A function has one connection, or one for each invocation that it takes at once.
MAX_CONNECTIONS = 64
# Bytes of a body that is read only to be refused.
MAX_REFUSED_BODY = 256 * 1024 * 1024
# Seconds from the first byte of a head to its last, and of a body that belongs to no invocation.
HEAD_S = 10.0
BODY_S = 30.0
# Seconds for the first byte of a connection's first head.  Between requests there is no limit: handlers take time.
FIRST_BYTE_S = 60.0
# Seconds in which a peer takes an answer.
SEND_S = 60.0

# Browsers send them and no runtime does; the last two also with what an <img> asks for, which has no Origin.
_OF_BROWSERS = ("origin", "sec-fetch-site", "sec-fetch-mode")


def refusal(headers: Mapping[str, str], bound: tuple[str, int], hosts: frozenset[str]) -> Answer | None:
    """What a request is refused with before it is looked at any further.

    Args:
        headers: of the request, names in lower case.
        bound: address and port that the endpoint listens on.
        hosts: further names that it goes by.

    Returns:
        None: it may pass.
    """
    for name in _OF_BROWSERS:
        if name in headers:
            return forbidden(f"This is a Runtime API endpoint, and no web page may use it: the request has {name}")
    host = headers.get("host")
    if host is not None and not is_ours(host, bound, hosts):
        return forbidden("The request's Host is not this endpoint's; RuntimeApi(hosts=...) names further ones")
    return None


def is_ours(host: str, bound: tuple[str, int], hosts: frozenset[str]) -> bool:
    """Whether a Host header names the endpoint: by its address, by localhost where that leads here, by a given name.

    An endpoint that listens on all addresses goes by any address in figures, with any port: what stands in between may
    translate both.  Names are what a web page could have pointed here.
    """
    name, port = _split(host.strip().lower())
    if name in hosts:
        return True
    address = _address(name)
    listens_on = _address(bound[0])
    if listens_on is not None and listens_on.is_unspecified:
        return name == "localhost" or address is not None
    if port != bound[1]:
        return False
    if listens_on is not None and listens_on.is_loopback:
        return name == "localhost" or (address is not None and address.is_loopback)
    return name == bound[0].lower() or (address is not None and address == listens_on)


def _split(host: str) -> tuple[str, int]:
    """Name and port of a Host header; port 80 where it has none, -1 where it is none."""
    if host.startswith("["):
        name, _, rest = host[1:].partition("]")
    else:
        name, _, rest = host.partition(":")
        rest = f":{rest}" if _ else ""
    if not rest:
        return name, 80
    port = rest[1:]
    return name, int(port) if rest[0] == ":" and port.isascii() and port.isdigit() and len(port) < 6 else -1


def _address(name: str) -> "ipaddress.IPv4Address | ipaddress.IPv6Address | None":
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
