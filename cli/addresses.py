"""Where the running system is: the file `demo.json` that `make up` leaves in the data folder."""

import json

from pydantic import BaseModel, ConfigDict, ValidationError

from cli.refusal import Refusal
from wiring.settings import local_settings


class Addresses(BaseModel):
    """Addresses and keys of the demo store. ``temporal_ui`` is where people look; ``admin`` may not be there."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    api: str
    api_key: str
    admin_key: str
    store: str
    temporal: str
    temporal_ui: str
    sandbox: str
    database: str
    admin: str | None = None
    gift_card: str | None = None
    """The code of a gift card of the demo store."""


def read_addresses() -> Addresses:
    """What `make up` has written; raises `Refusal` when it was never run here."""
    file = local_settings().data_dir / "demo.json"
    try:
        return Addresses.model_validate(json.loads(file.read_text()))
    except FileNotFoundError as missing:
        raise Refusal(f"There is no {file}: run `make up` first, in another terminal.") from missing
    except (ValidationError, json.JSONDecodeError) as wrong:
        raise Refusal(f"{file} is not what this version writes: run `make up` again.") from wrong
