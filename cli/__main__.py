"""Find the asked-for command and run it.

Every command is a module `cli/<name>.py` with two functions: `configure(parser)` adds its arguments and
`run(arguments)` does the work and returns the exit code. Only the module that was asked for is imported, so that one
command never pays for another's imports.
"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn, Protocol, cast

from typing_extensions import override

from cli.refusal import Refusal
from wiring.settings import BadSettings

COMMANDS = {
    "up": "start the whole system on this machine and keep it running",
    "seed": "put the demo store and its keys into the database",
    "demo": "place, pay and refund orders against the running system",
    "audit": "compare the database, the PGs' ledgers and Temporal; 0 only if all agrees",
    "reference": "write the pages of docs/reference from the code",
}
"""Each command's module name below `cli/`, and its line in the help."""


class Command(Protocol):
    """What a command's module offers."""

    def configure(self, parser: ArgumentParser) -> None:
        """Add the command's own arguments."""

    def run(self, arguments: Namespace) -> int:
        """Do it; returns the process's exit code."""


class OneSentenceParser(ArgumentParser):
    """Answers bad arguments with one sentence instead of a page of usage."""

    @override
    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where the right arguments are listed."""
        self.exit(2, f"{self.prog}: {message}; see `{self.prog} --help`.\n")


def load(name: str) -> Command:
    """Import one command's module; raises `Refusal` when this version does not have it."""
    module = f"cli.{name}"
    try:
        return cast(Command, import_module(module))
    except ModuleNotFoundError as missing:
        if missing.name != module:
            raise
        raise Refusal(f"The command {name!r} is not part of this version.") from missing


def main(words: Sequence[str]) -> int:
    """Run the command named by the first word; a refusal becomes one sentence and exit code 1."""
    listed = "\n".join(f"  {name:8} {summary}" for name, summary in COMMANDS.items())
    usage = f"python -m cli <command> [arguments]\n\ncommands:\n{listed}\n"
    if not words or words[0] in {"-h", "--help"}:
        sys.stdout.write(f"usage: {usage}")
        return 0 if words else 2
    name = words[0]
    if name not in COMMANDS:
        sys.stderr.write(f"There is no command {name!r}; the commands are {', '.join(COMMANDS)}.\n")
        return 2
    try:
        command = load(name)
        parser = OneSentenceParser(prog=f"python -m cli {name}", description=COMMANDS[name])
        command.configure(parser)
        return command.run(parser.parse_args(words[1:]))
    except (Refusal, BadSettings) as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    except KeyboardInterrupt:  # before the command could take care of it, while it was being imported
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
