"""One file per noun. `api.app` includes each file's ``router`` under ``/v1`` and its ``root_router`` at the root."""
