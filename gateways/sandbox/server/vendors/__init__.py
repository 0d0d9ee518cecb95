"""How other vendors speak: one personality each, over the sandbox's one ledger."""

from gateways.sandbox.server.personality import Personality

PERSONALITIES: tuple[type[Personality], ...] = ()
"""One line for each vendor."""
