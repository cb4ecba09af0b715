"""The command line. One file for each command; an error is one clear line, never a traceback."""

from __future__ import annotations

import sys

import typer

from shadow import __version__
from shadow.cli import check, clear, demo, forget, jobs, moving, run, samples, schema, status
from shadow.cli.errors import EXPECTED, in_words

app = typer.Typer(
    help="Moves a live Python service from MongoDB to PostgreSQL, one collection at a time.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # their tracebacks show local variables, and so secrets
)
app.command("check")(check.check)
app.command("schema")(schema.schema)
app.command("status")(status.status)
app.command("advance")(moving.advance)
app.command("rollback")(moving.rollback)
app.command("backfill")(jobs.backfill)
app.command("verify")(jobs.verify)
app.command("samples")(samples.samples)
app.command("clear")(clear.clear)
app.command("forget")(forget.forget)
app.command("run", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})(run.run)
app.command("demo")(demo.demo)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"shadow {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    """Takes what stands before the command."""


def main() -> None:
    """Run the command line: exit code 0, 1 when a command found something wrong, 2 when it could not run."""
    try:
        app(prog_name="shadow")
    except EXPECTED as error:
        typer.echo(f"shadow: {in_words(error)}", err=True)
        sys.exit(2)
