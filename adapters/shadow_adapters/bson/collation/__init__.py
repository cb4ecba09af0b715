"""Collations: comparing text as a language does, by keys made here of Unicode's own tables, without a library's.

A key is a text again, which stands in the text's place in a value; so documents and arrays compare by the texts in
them, as in MongoDB. Two keys of a text: one tells what is equal, for every script but where it says otherwise; one
tells the order, for the letters whose order is written down here (`order`).
"""

from __future__ import annotations

from shadow_adapters.bson.collation.collation import SIMPLE, Collation, has_text
from shadow_adapters.bson.collation.parser import compile_collation, completed_collation

__all__ = ["SIMPLE", "Collation", "compile_collation", "completed_collation", "has_text"]
