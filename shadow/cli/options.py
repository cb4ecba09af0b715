"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="The configuration [default: $SHADOW_CONFIG, else shadow.toml]", show_default=False
    ),
]
