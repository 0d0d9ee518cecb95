"""Order numbers at the door: the one that a client names, and a fresh one of the store's local day."""

from starlette.requests import Request

from api.resources import resources_of
from commands.order import draw_number
from domain.errors import Invalid, UnknownOrder
from domain.number import parse_number
from queries.catalog import load_shelf


def named(number: str) -> str:
    """The number of a path as we write it, whatever case and lookalikes were typed. Raises `UnknownOrder`."""
    try:
        return parse_number(number)
    except Invalid as wrong:
        raise UnknownOrder(wrong.detail) from wrong


async def fresh_number(request: Request, store: str) -> str:
    """A number to propose. A store's time zone is looked up once in a process: it never changes."""
    zones: dict[str, str] | None = getattr(request.app.state, "time_zones", None)
    if zones is None:
        zones = request.app.state.time_zones = {}
    if store not in zones:
        async with resources_of(request).database.reading() as connection:
            zones[store] = (await load_shelf(connection, store, ())).timezone
    return draw_number(zones[store])
