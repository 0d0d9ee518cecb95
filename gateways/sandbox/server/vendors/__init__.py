"""How other vendors speak: one personality each, over the sandbox's one ledger."""

from gateways.sandbox.server.personality import Personality
from gateways.sandbox.server.vendors.adyen import AdyenPersonality
from gateways.sandbox.server.vendors.nice import NicePersonality
from gateways.sandbox.server.vendors.stripe import StripeVoice
from gateways.sandbox.server.vendors.toss import TossPayments

PERSONALITIES: tuple[type[Personality], ...] = (
    AdyenPersonality,
    NicePersonality,
    StripeVoice,
    TossPayments,
)
"""One line for each vendor."""
