"""Tell the sandbox PG where the webhooks of its accounts go."""

from collections.abc import Mapping

import httpx

from cli.refusal import Refusal

PATIENCE_SECONDS = 10.0


async def register_targets(sandbox: str, api: str, keys: Mapping[str, str]) -> None:
    """Each account's events go to our API, signed with its key; again is the same. Raises `Refusal`."""
    async with httpx.AsyncClient(base_url=sandbox, timeout=PATIENCE_SECONDS, trust_env=False) as http:
        for account, key in keys.items():
            target = {"account": account, "url": f"{api}/v1/webhooks/{account}", "secret": key}
            try:
                (await http.post("/_webhooks", json=target)).raise_for_status()
            except httpx.HTTPError as refused:
                raise Refusal(f"The sandbox PG took no webhook target for {account}: {refused}.") from refused
