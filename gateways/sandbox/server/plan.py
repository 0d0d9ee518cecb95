"""Faults by lot: the same seed and the same calls give the same faults."""

from collections import Counter
from collections.abc import Mapping
from random import Random
from typing import Any

from gateways.sandbox.server.fault import STRIKES, FaultKind, Moment


class SeededPlan:
    """Draws for every request and every event from the seed and from which one it is of its account and operation.

    So requests of other accounts, and of other operations, may come in between without changing what is drawn.
    """

    def __init__(
        self,
        seed: int,
        probabilities: Mapping[FaultKind, float],
        *,
        account: str | None,
        operation: str | None,
        ms: int,
    ) -> None:
        """``account`` or ``operation`` None: any. Those that strike at one moment sum up to 1 at most."""
        self.ms = ms
        self._seed = seed
        self._chances = {kind: probabilities[kind] for kind in FaultKind if kind in probabilities}
        self._account = account
        self._operation = operation
        self._seen: Counter[tuple[str, str, Moment]] = Counter()

    def draw(self, account: str, operation: str, moment: Moment) -> FaultKind | None:
        """What strikes the next one of this account and operation at this moment, if anything."""
        if self._account not in {None, account} or self._operation not in {None, operation}:
            return None
        self._seen[account, operation, moment] += 1
        place = f"{self._seed} {account} {operation} {moment} {self._seen[account, operation, moment]}"
        point = Random(place).random()  # noqa: S311 - lots for tests, no secret
        for kind, chance in self._chances.items():
            if kind not in STRIKES[moment]:
                continue
            if point < chance:
                return kind
            point -= chance
        return None

    def as_json(self) -> dict[str, Any]:
        """The shape of ``GET /_faults`` -> ``plan``; ``drawn``: for how many requests and events so far."""
        return {
            "seed": self._seed,
            "probabilities": {kind.value: chance for kind, chance in self._chances.items()},
            "account": self._account,
            "operation": self._operation,
            "ms": self.ms,
            "drawn": self._seen.total(),
        }
