"""``shadow run -- COMMAND``: start an application, unchanged, with Shadow in the place of its drivers."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

import shadow
from shadow import config
from shadow.cli.options import Config
from shadow.config.loading import DEFAULT_PATH

STARTUP = Path(shadow.__file__).parent / "startup"
"""The folder whose ``sitecustomize`` installs Shadow."""

NOT_FOUND = 127
"""Exit code for a command that is not there, and `NOT_RUNNABLE` for one that cannot be run, as a shell's."""
NOT_RUNNABLE = 126


def run(
    command: Annotated[list[str], typer.Argument(help="The command and its arguments.", show_default=False)],
    path: Config = None,
) -> None:
    """Run a command whose Python processes, and their children, use Shadow in the place of Motor and PyMongo."""
    path = path or Path(os.environ.get("SHADOW_CONFIG") or DEFAULT_PATH)
    config.load(path)
    sys.stdout.flush()
    try:
        os.execvpe(command[0], command, environment(os.environ, path))
    except FileNotFoundError:
        typer.echo(f"shadow: there is no command {command[0]!r}", err=True)
        raise typer.Exit(NOT_FOUND) from None
    except OSError as error:
        typer.echo(f"shadow: {command[0]!r} cannot be run: {error.strerror}", err=True)
        raise typer.Exit(NOT_RUNNABLE) from None


def environment(given: Mapping[str, str], path: Path) -> dict[str, str]:
    """The command's environment: it finds the configuration from everywhere, and Shadow before anything else."""
    there = [entry for entry in given.get("PYTHONPATH", "").split(os.pathsep) if entry and entry != str(STARTUP)]
    return {
        **given,
        "PYTHONPATH": os.pathsep.join([str(STARTUP), *there]),
        "SHADOW_CONFIG": str(path.absolute()),
        "SHADOW_RUN": "1",
    }
