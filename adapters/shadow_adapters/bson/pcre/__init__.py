"""MongoDB's regexes (PCRE) searched safely with Python: never at the cost of the event loop.

Python's `re` differs from PCRE in details and can take exponential time, holding the loop. So a pattern is parsed
here: what Python would read differently is translated, what cannot be is refused by name, and the worst time that
backtracking can take is known before a text is searched. Where that is too long, an automaton searches in linear time.
There is no thread and no timer.
"""

from __future__ import annotations

from shadow_adapters.bson.pcre.search import Find, Search, compile_find, compile_search

__all__ = ["Find", "Search", "compile_find", "compile_search"]
