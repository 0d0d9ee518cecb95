"""What the server works with, as routes reach it."""

from collections.abc import Mapping

from starlette.requests import Request

from domain.gateway import Capabilities
from wiring.resources import Resources


def resources_of(request: Request) -> Resources:
    """The resources that `api.app.create_app` was given."""
    resources: Resources = request.app.state.resources
    return resources


def capabilities_of(request: Request) -> Mapping[str, Capabilities]:
    """What each PG account of the settings can do, by its name."""
    return {name: gateway.capabilities() for name, gateway in resources_of(request).gateways.items()}
