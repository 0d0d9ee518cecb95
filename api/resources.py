"""What the server works with, as routes reach it."""

from starlette.requests import Request

from wiring.resources import Resources


def resources_of(request: Request) -> Resources:
    """The resources that `api.app.create_app` was given."""
    resources: Resources = request.app.state.resources
    return resources
