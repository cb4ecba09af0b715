"""Text search as MongoDB has it: languages, what a text index covers, and what a ``$text`` asks for."""

from __future__ import annotations

from shadow_adapters.bson.text.definition import WILDCARD, Definition
from shadow_adapters.bson.text.search import Search, compile_search
from shadow_adapters.bson.text.spec import OPTIONS, completed, is_text

__all__ = ["OPTIONS", "WILDCARD", "Definition", "Search", "compile_search", "completed", "is_text"]
