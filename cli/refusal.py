"""The one way a command says no to its operator."""


class Refusal(Exception):
    """The command cannot go on; the message is one sentence that says what to do about it."""
