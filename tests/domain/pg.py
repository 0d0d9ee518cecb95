"""A PG for the random tests of the domain: its books are its own, and it says of them what the test wants."""

from dataclasses import dataclass, replace
from uuid import UUID

from domain.gateway import Action, Amounts, Answer, OperationKind, Outcome, Retry
from domain.payment import Operation
from tests.domain.desk import MISMATCH, NOT_EXECUTED, OK, PENDING, UNKNOWN, declined

AUTHORIZE = OperationKind.AUTHORIZE


@dataclass
class Fate:
    """What a PG knows of one operation: nothing, that it runs, that it is done, refused, or may never happen."""

    state: str = "unseen"
    answer: Answer = UNKNOWN


class Pg:
    """A PG's own books: every operation happens at most once, whatever is answered about it."""

    def __init__(self) -> None:
        self.fates: dict[UUID, Fate] = {}
        self.taken: set[UUID] = set()
        """Payments whose money is there again without having been asked for: nothing is left to capture or release."""

    def of(self, operation: Operation) -> Fate:
        """What is known of an operation."""
        return self.fates.setdefault(operation.id, Fate())

    def happened(self, operation: Operation) -> bool:
        """It has taken effect."""
        return self.of(operation).state == "done"

    def send(self, operation: Operation, how: str) -> Answer:
        """A request arrives, or does not; the first arrival decides, later ones are told the same."""
        fate = self.of(operation)
        if how == "lost before":
            return UNKNOWN
        if fate.state == "barred":
            return NOT_EXECUTED
        if fate.state == "unseen":
            self._decide(operation, fate, how)
        if how == "lost after":
            return UNKNOWN
        if how == "mismatch" and fate.state == "done":
            return MISMATCH
        return fate.answer

    def give_again(self, operation: Operation) -> None:
        """What was taken back is there again: a bank has thought better of it."""
        self.of(operation).state = "done"
        if operation.kind is not OperationKind.REFUND:
            self.taken.add(operation.payment_id)

    def _decide(self, operation: Operation, fate: Fate, how: str) -> None:
        if operation.payment_id in self.taken and operation.kind in {OperationKind.CAPTURE, OperationKind.VOID}:
            how = "declined for good"
        match how:
            case "declined" | "declined for good":
                fate.state = "refused"
                fate.answer = declined(Retry.OTHER_PG if how == "declined" else Retry.NEVER)
            case "pending":
                fate.state, fate.answer = "running", PENDING
            case "action" if operation.kind is AUTHORIZE:
                fate.state = "running"
                fate.answer = Answer(Outcome.ACTION_REQUIRED, reference="pg-1", action=Action("redirect", "https://pg"))
            case "refused before":
                fate.answer = NOT_EXECUTED
            case _:
                fate.state, fate.answer = "done", OK

    def look(self, operation: Operation, how: str) -> Answer:
        """What became of it? A PG that works on it may have come to an end."""
        fate = self.of(operation)
        if how.startswith("lost"):
            return UNKNOWN
        if fate.state == "running" and how != "pending":
            says_no = how.startswith("declined")
            fate.state, fate.answer = ("refused", declined(Retry.OTHER_PG)) if says_no else ("done", OK)
        return NOT_EXECUTED if fate.state in {"unseen", "barred"} else fate.answer

    def take_back(self, operation: Operation) -> None:
        """It had taken effect, and has none any more."""
        self.of(operation).state = "undone"

    def say(self, operation: Operation, how: str) -> Answer:
        """Whether it still stands, as it says when it is asked again."""
        if how.startswith("lost"):
            return UNKNOWN
        stands = self.happened(operation)
        if operation.kind is AUTHORIZE:
            captured = operation.amount if stands else 0
            return replace(OK, amounts=Amounts(operation.amount, captured, 0, 0))
        return OK if stands else declined()

    def neutralize(self, operation: Operation, how: str) -> Answer:
        """It must never happen, or is undone."""
        if how == "lost before":
            return UNKNOWN
        self.of(operation).state = "barred"
        return UNKNOWN if how == "lost after" else OK
