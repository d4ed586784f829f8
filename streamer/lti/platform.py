"""A platform as it is registered here: part of the configuration, so nothing else is loaded."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from streamer.addresses import is_loopback

Text = Annotated[str, msgspec.Meta(min_length=1)]


class Platform(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A platform that sends its learners here, and this tool as it is registered there."""

    issuer: Text  # what the platform calls itself (`iss`)
    client_id: Text  # as whom this tool is registered there
    # the deployments of this tool there that may send learners
    deployment_ids: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1)]
    login_url: Text  # where logins are answered: its OIDC authorization endpoint
    token_url: Text  # where access tokens for its services come from
    jwks_url: Text  # where its public keys are
    audience: Text | None = None  # whom access tokens are asked of; none: token_url
    # names of its servers beside those in the addresses above, to which learners are sent back
    hosts: tuple[Text, ...] = ()

    def __post_init__(self) -> None:
        for key in ("login_url", "token_url", "jwks_url"):
            address = getattr(self, key)
            if not is_safe(address):
                raise ValueError(f"lti.{key}: {address!r} is not like https://lms.example.org/lti")
        if "?" in self.login_url:
            raise ValueError("lti.login_url: it has to be without a query")

    @property
    def names(self) -> tuple[str, ...]:
        """Its servers, as far as they are known."""
        addresses = (self.issuer, self.login_url, self.token_url, self.jwks_url)
        known = [place.netloc.lower() for place in map(urlsplit, addresses) if place.netloc]
        return tuple(dict.fromkeys([*known, *(host.lower() for host in self.hosts)]))

    def owns(self, address: str) -> bool:
        """Whether an address that a launch names is one of the platform's own."""
        return is_safe(address) and urlsplit(address).netloc.lower() in self.names


def is_safe(address: str) -> bool:
    """Whether what goes to an address is encrypted, or stays on this machine."""
    try:
        place = urlsplit(address)
        host = place.hostname or ""
    except ValueError:
        return False
    if not host or place.username is not None or not address.isprintable() or " " in address:
        return False
    return place.scheme == "https" or (place.scheme == "http" and is_loopback(host))
