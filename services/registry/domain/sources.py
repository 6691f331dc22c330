"""Networks that a system may call from."""

import ipaddress
from collections.abc import Iterable, Sequence

from services.registry.errors import SystemInvalid
from shared.errors import FieldError

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def read_sources(sources: Iterable[str]) -> tuple[str, ...]:
    """
    Bring networks into one form; an address alone is a network of one.

    Raises:
        SystemInvalid: Something is no network; all that are not are named.
    """
    found: list[str] = []
    errors = []
    for number, source in enumerate(sources):
        try:
            found.append(str(ipaddress.ip_network(source.strip())))
        except ValueError:
            detail = "a network such as 203.0.113.0/24 is needed, without bits of a host"
            errors.append(FieldError(pointer=f"/sources/{number}", code=SystemInvalid.code, detail=detail))
    if errors:
        raise SystemInvalid("a source range cannot be used", errors=errors)
    return tuple(dict.fromkeys(found))


def canonical_address(address: str) -> str | None:
    """
    Write an address in its one form, an IPv4 address inside IPv6 as what it is; None if it is none.
    """
    try:
        read = ipaddress.ip_address(address.strip())
    except ValueError:
        return None
    if isinstance(read, ipaddress.IPv6Address):
        return str(read.ipv4_mapped or ipaddress.IPv6Address(int(read)))
    return str(read)


def may_call_from(address: str | None, sources: Sequence[str]) -> bool:
    """
    Tell whether a system may call from an address: from anywhere when it has no networks.
    """
    if not sources:
        return True
    return address is not None and _is_in(address, map(ipaddress.ip_network, sources))


def is_named(address: str, sources: Iterable[str]) -> bool:
    """
    Tell whether an address stands among the networks by itself, so that whoever wrote it down expects it.
    """
    networks = map(ipaddress.ip_network, sources)
    return _is_in(address, (network for network in networks if network.num_addresses == 1))


def _is_in(address: str, networks: Iterable[_Network]) -> bool:
    read = ipaddress.ip_address(address)
    return any(read in network for network in networks)
