"""Show what is being done, and for how long: live on a terminal, one line per finished step anywhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class Steps:
    """The progress of several steps at once."""

    def __init__(self, console: Console) -> None:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self.console = console
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Draw the running steps while this is open."""
        with self._progress:
            yield

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """One step; its line with the seconds it took is printed when it has succeeded."""
        task = self._progress.add_task(what, total=None)
        started = perf_counter()
        try:
            yield
        finally:
            self._progress.remove_task(task)
        self.console.print(f"[green]✓[/] {what} [dim]{perf_counter() - started:.1f} s[/]", highlight=False)
