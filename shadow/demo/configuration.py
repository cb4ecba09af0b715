"""The operator's ``shadow.toml``: written once, and again for every phase that is wanted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from shadow.demo.application import COLLECTIONS
from shadow_flags.phases import Phase

DATABASE = "orchestra"
Wanted = Phase | Mapping[Phase, int]

_HEAD = """\
[stores]
mongo = "{mongo}"
postgres = "{postgres}"

[protocol]                 # short, because everything here is on one machine
settle_seconds = 1.0
renew_seconds = 0.3
lease_seconds = 2.0
journal = "{journal}"

[gates]                    # so wide that a minute's traffic can prove enough
mismatch_rate = 0.05
rehearsal_rate = 0.05
p99_ratio = 20
waived = ["clients"]       # the demo itself looks past Shadow
"""

_ENTITIES = {
    "agents": """\
columns = { name = "name", description = "description", capabilities = "capabilities", autonomy_level = \
"autonomy_level", model_config = "model_config", created_at = "created_at", updated_at = "updated_at" }
""",
    "workflows": """\
columns = { name = "name", definition = "definition", status = "status", created_at = "created_at", updated_at = \
"updated_at" }
""",
    "audit_logs": """\
columns = { event_type = "event_type", actor = "actor", resource_type = "resource_type", resource_id = "resource_id", \
details = "details", created_at = "created_at" }
""",
    "memory_snapshots": """\
columns = { agent_id = "agent_id", snapshot_data = "snapshot_data", vector_ids = "vector_ids", created_at = \
"created_at" }
parents = ["agents"]
""",
    "sessions": """\
columns = { data = "data", expires_at = "expires_at", created_at = "created_at", updated_at = "updated_at" }
""",
    "knowledge": "",
}


class Configuration:
    """The file, and the phase that it asks for."""

    def __init__(self, folder: Path, mongo: str, postgres: str) -> None:
        self.path = folder / "shadow.toml"
        self._head = _HEAD.format(mongo=mongo, postgres=postgres, journal=folder / "journal")

    def want(self, wanted: Wanted) -> None:
        """Ask for a phase, or for weights, for every entity."""
        text = "\n".join([self._head, *(_entity(name, wanted) for name in COLLECTIONS)])
        beside = self.path.with_suffix(".new")
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, self.path)


def _entity(name: str, wanted: Wanted) -> str:
    columns = _ENTITIES[name]
    table = f'postgres = "orchestra.{name}", layout = "table", id = "id"' if columns else 'layout = "documents"'
    head = f'[entities.{name}]\nlegacy = {{ mongo = "{DATABASE}.{name}" }}\nnew = {{ {table} }}\n'
    return f"{head}{columns}phase = {_phase(wanted)}\n"


def _phase(wanted: Wanted) -> str:
    if isinstance(wanted, Phase):
        return f'"{wanted}"'
    return "{ " + ", ".join(f"{phase} = {weight}" for phase, weight in wanted.items()) + " }"
