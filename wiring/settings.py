"""Every setting of OPMS, read from environment variables that begin with `OPMS_`.

No setting has a password for its default: what is secret must be given. `.env.example` lists them all; a test holds the
two together.
"""

from pathlib import Path
from typing import Annotated, Literal, TypeVar
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

PREFIX = "OPMS_"

T = TypeVar("T", bound="LocalSettings")

Port = Annotated[int, Field(ge=1, le=65535)]


class BadSettings(Exception):
    """One or more settings are missing or wrong; the message has one sentence for each."""


class GatewaySettings(BaseModel):
    """One account at a payment gateway: which adapter speaks to it, where, and with which key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vendor: str = Field(description="The adapter's name in the gateway catalog, such as sandbox.")
    url: str = Field(pattern=r"^https?://", description="Where the PG's interface is.")
    key: SecretStr = Field(description="The secret that the PG gave this account.")
    webhook_secret: SecretStr = Field(default=SecretStr(""), description="What it signs webhooks with, if not the key.")
    merchant: str = Field(default="", description="The PG's own name of the merchant or client, where it has one.")
    reports_tax: bool = Field(
        default=False,
        description="Tell the PG (Toss, NICE) what of each payment is for goods without tax. For accounts with its "
        "agreement for such goods; from then on, for new payments.",
    )
    timezone: str = Field(default="UTC", description="Where the account's days of settlement begin and end.")
    settles_in_days: int = Field(
        default=2, ge=0, le=40, description="T+n: days after which a movement that no settlement line has is missing."
    )
    fee_basis_points: int | None = Field(
        default=None, ge=0, le=10_000, description="What the contract says a charge costs; none: fees are not compared."
    )
    fee_fixed: int = Field(default=0, ge=0, le=1_000_000, description="Minor units that every charge costs beside it.")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        if zone not in available_timezones():
            raise PydanticCustomError("unknown_zone", "must be a time zone such as Asia/Seoul")
        return zone


class BackOfficeSettings(BaseModel):
    """Where a store takes its order events, and the secret that signs them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(pattern=r"^https?://", description="Takes POSTs of order events.")
    secret: SecretStr = Field(description="Signs every body with HMAC-SHA256.")


class LocalSettings(BaseSettings):
    """What `python -m cli up` needs before anything runs: where to keep data and which ports to use."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    data_dir: Path = Field(
        default=Path(".opms"),
        description="Folder of the embedded stack: database, Temporal, keys and logs. Used by `make up` only.",
    )
    port_base: int = Field(
        default=7300,
        ge=1024,
        le=65500,
        description="First of the five ports of `make up`: api, then Temporal, Temporal UI, Postgres, sandbox PG.",
    )


class Settings(LocalSettings):
    """Everything that a worker or the server has to be told."""

    database_url: str = Field(
        pattern=r"^postgresql://[^/]+/.+",
        repr=False,
        description="The Postgres database: postgresql://user:password@host:port/database.",
    )
    database_pool_size: int = Field(
        default=10, ge=1, le=200, description="Most database connections that one process keeps open."
    )
    temporal_address: str = Field(
        default="127.0.0.1:7233",
        pattern=r"^[^/\s]+:\d+$",
        description="host:port of Temporal's front end.",
    )
    temporal_namespace: str = Field(default="default", min_length=1, description="The Temporal namespace of OPMS.")
    temporal_ui_url: str = Field(
        default="http://127.0.0.1:8233",
        pattern=r"^https?://",
        description="Where people open the Temporal UI; the console links there.",
    )
    api_host: str = Field(default="127.0.0.1", min_length=1, description="Address that the server listens on.")
    public_url: str = Field(
        default="",
        pattern=r"^(https?://\S+)?$",
        description="How customers reach the server: the address before /pay/... in links. Empty: its own address.",
    )
    link_secret: SecretStr = Field(
        default=SecretStr(""),
        description="Signs the links by which customers pay; empty: no links. Another one revokes all that were sent.",
    )
    api_port: Port = Field(default=7300, description="Port that the server listens on.")
    gateways: dict[str, GatewaySettings] = Field(
        default={},
        description='PG accounts as JSON: {"<account>": {"vendor": "...", "url": "https://...", "key": "..."}}.',
    )
    back_offices: dict[str, BackOfficeSettings] = Field(
        default={},
        description='Where order events go, by store, as JSON: {"<store>": {"url": "https://...", "secret": "..."}}.',
    )
    max_concurrent_activities: int = Field(
        default=20, ge=1, le=1000, description="Most activities that one worker runs at the same time."
    )
    workflow_sandbox: bool = Field(
        default=True,
        description="Run workflow code in Temporal's sandbox, which catches non-determinism and costs worker CPU.",
    )
    build_id: str = Field(
        default="dev",
        pattern=r"^[A-Za-z0-9._-]+$",
        description="Name of this build, under which its workers are known to Temporal.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least severe log event that is written: DEBUG, INFO, WARNING or ERROR."
    )
    metrics_port: Port | None = Field(
        default=None, description="Port for Prometheus on this process, on 127.0.0.1; empty for none."
    )


def settings() -> Settings:
    """Read the settings of this process; raises `BadSettings` with one sentence per bad variable."""
    return _read(Settings)


def local_settings() -> LocalSettings:
    """Read only where the embedded stack lives; raises `BadSettings` with one sentence per bad variable."""
    return _read(LocalSettings)


def _read(kind: type[T]) -> T:
    # `from None` on purpose: the causes quote the values, and the values are secrets.
    try:
        return kind()
    except ValidationError as wrong:
        raise BadSettings("\n".join(_sentences(wrong))) from None
    except SettingsError:
        raise BadSettings(f"{PREFIX}GATEWAYS is not JSON; see .env.example.") from None


def _sentences(wrong: ValidationError) -> list[str]:
    sentences = []
    for error in wrong.errors(include_input=False, include_url=False):
        field, *inside = (str(part) for part in error["loc"])
        variable = PREFIX + field.upper()
        if error["type"] == "missing" and not inside:
            sentences.append(f"{variable} is missing; set it as .env.example shows.")
        else:
            where = f" (at {'.'.join(inside)})" if inside else ""
            sentences.append(f"{variable}{where} is wrong: {error['msg']}.")
    return sentences
