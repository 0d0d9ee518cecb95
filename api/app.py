"""The ASGI application: routes under ``/v1``, health at the root, one way to answer errors."""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from fastapi import APIRouter, Depends, FastAPI
from starlette.middleware import Middleware

from api import routes
from api.auth import KeyRing
from api.errors import install
from api.middleware import Envelope, Intake
from api.openapi import describe
from api.parameters import only_known
from api.pay.routes import PayPage
from queries.store import KeyView, find_key
from wiring.resources import Resources

VERSION = "1"


def create_app(resources: Resources) -> FastAPI:
    """The application on ``resources``, which stay the caller's: nothing is opened or closed here."""
    app = FastAPI(
        title="OPMS",
        version=VERSION,
        summary="Orders and payments.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
        dependencies=[Depends(only_known)],
        middleware=[Middleware(Envelope), Middleware(Intake)],
    )

    async def look_up(key_hash: str) -> KeyView | None:
        async with resources.database.reading() as connection:
            return await find_key(connection, key_hash)

    app.state.resources = resources
    app.state.keys = KeyRing(look_up)
    install(app)
    v1 = APIRouter(prefix="/v1")
    for router in _routers("router"):
        v1.include_router(router)
    app.include_router(v1)
    for router in _routers("root_router"):
        app.include_router(router)
    app.router.routes.extend(PayPage().routes())
    describe(app)
    return app


def _routers(kind: str) -> Iterator[APIRouter]:
    """Every file of `api.routes` has a ``router`` (below ``/v1``), a ``root_router`` (pages, probes), or both."""
    for module in iter_modules(routes.__path__):
        router = getattr(import_module(f"{routes.__name__}.{module.name}"), kind, None)
        if isinstance(router, APIRouter):
            yield router
