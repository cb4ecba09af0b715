"""MongoDB's regexes (PCRE) searched safely with Python: parsed, proven cheap enough or refused, then run by `re`.

Python's `re` differs from PCRE in details and can take exponential time, holding the event loop. So a pattern is
parsed here: what Python would read differently is translated, what cannot be is refused by name, and the worst time
that backtracking can take is known before a text is searched. There is no thread and no timer.
"""

from __future__ import annotations

from shadow_adapters.bson.pcre.search import Search, compile_search

__all__ = ["Search", "compile_search"]
