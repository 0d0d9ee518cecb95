"""The embedded servers, by one name: real Postgres and real Temporal without Docker."""

from wiring.child import Child, ChildFailed, Program
from wiring.embedded_postgres import ClusterUnusable, EmbeddedPostgres
from wiring.embedded_temporal import EmbeddedTemporal
from wiring.ports import free_ports, is_free

__all__ = [
    "Child",
    "ChildFailed",
    "ClusterUnusable",
    "EmbeddedPostgres",
    "EmbeddedTemporal",
    "Program",
    "free_ports",
    "is_free",
]
