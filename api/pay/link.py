"""Links to payment requests: unguessable, good for one request, nothing stored.

A token is the request's id and an HMAC of it, so only this system can make one, and whoever changes
``OPMS_LINK_SECRET`` revokes them all. It opens exactly one request; when that is paid or over, there is nothing to pay.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from starlette.requests import Request

from api.resources import resources_of

_MAC_BYTES = 16
_TOKEN_LENGTH = 43


@dataclass(frozen=True, slots=True)
class PayLinks:
    """Makes and reads tokens. Without a secret there are no links."""

    base_url: str
    secret: str

    def url(self, request_id: UUID) -> str | None:
        """The address that a customer gets; None without a secret."""
        return f"{self.base_url.rstrip('/')}/pay/{self.token(request_id)}" if self.secret else None

    def token(self, request_id: UUID) -> str:
        """The token of a request: 43 characters that fit into an address."""
        raw = request_id.bytes + self._mac(request_id.bytes)
        return urlsafe_b64encode(raw).rstrip(b"=").decode()

    def read(self, token: str) -> UUID | None:
        """The request that a token opens; None for anything that is not one of ours."""
        if not self.secret or len(token) != _TOKEN_LENGTH or not token.isascii():
            return None
        try:
            raw = urlsafe_b64decode(token + "=")
        except (Error, ValueError):
            return None
        name, mac = raw[:16], raw[16:]
        if not hmac.compare_digest(mac, self._mac(name)):
            return None
        found = UUID(bytes=name)
        return found if self.token(found) == token else None  # Base64 writes the same bytes in more ways than one.

    def _mac(self, name: bytes) -> bytes:
        return hmac.new(self.secret.encode(), b"pay " + name, sha256).digest()[:_MAC_BYTES]


def links_to_pay(request: Request) -> PayLinks:
    """How this process makes links."""
    settings = resources_of(request).settings
    return PayLinks(settings.public_url or _own_address(request), settings.link_secret.get_secret_value())


def _own_address(request: Request) -> str:
    settings = resources_of(request).settings
    return f"http://{settings.api_host}:{settings.api_port}"
