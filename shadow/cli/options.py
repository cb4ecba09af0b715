"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Entity = Annotated[str, typer.Argument(help="The entity.")]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="The configuration [default: $SHADOW_CONFIG, else shadow.toml]", show_default=False
    ),
]
