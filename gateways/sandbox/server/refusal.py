"""Everything that the sandbox PG says no to: an HTTP status, a stable code, words, figures."""

from typing import Any


class Refusal(Exception):
    """A request that is answered with a 4xx."""

    def __init__(self, status: int, code: str, message: str, **figures: Any) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.figures = figures

    def as_json(self) -> dict[str, Any]:
        """The shape of ``error`` in every 4xx answer."""
        return {"code": self.code, "message": self.message, **self.figures}


class NotTaken(Refusal):
    """Refused at the door: nothing was executed and nothing is remembered under the key."""


def invalid(field: str, rule: str) -> NotTaken:
    """A field of the request that breaks its rule."""
    return NotTaken(400, "invalid_field", f"{field} {rule}.", field=field)
