"""The ordinary system user that Postgres runs as when we are root, which Postgres refuses to be."""

import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

NAME = "opms-postgres"


@dataclass(frozen=True, slots=True)
class Account:
    """A system user, by its numbers."""

    uid: int
    gid: int

    def reaches(self, path: Path) -> bool:
        """Whether this user may walk to `path`: every folder above it lets it through."""
        return all(self._passes(folder.stat()) for folder in path.absolute().parents)

    def _passes(self, folder: os.stat_result) -> bool:
        if folder.st_uid == self.uid:
            return bool(folder.st_mode & stat.S_IXUSR)
        if folder.st_gid == self.gid:
            return bool(folder.st_mode & stat.S_IXGRP)
        return bool(folder.st_mode & stat.S_IXOTH)


def postgres_account() -> Account | None:
    """Who Postgres is to run as; None (as ourselves) unless we are root.

    As root it is a system user of its own, made here at the first start, or `nobody` where users cannot be made.
    """
    if os.geteuid() != 0:
        return None
    return _account(NAME) or _make() or _account("nobody")


def _account(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(uid=entry.pw_uid, gid=entry.pw_gid)


def _make() -> Account | None:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is None:
        return None
    words = [useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", NAME]
    subprocess.run(words, capture_output=True, check=False)  # two starts at once: the second finds the first's user
    return _account(NAME)
