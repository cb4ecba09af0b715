"""Read by every Python that ``shadow run`` starts, and by its children, before anything else: installs Shadow.

Then it makes way for the environment's own ``sitecustomize``, if there is one.
"""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

_HERE = os.path.dirname(os.path.abspath(__file__))


def _install() -> None:
    try:
        import shadow
    except ImportError:
        print(f"shadow run: {sys.executable} has no shadow-cutover: its calls are NOT routed", file=sys.stderr)
        return
    try:
        shadow.install()
    except RuntimeError as error:
        print(f"shadow run: {error}", file=sys.stderr, flush=True)
        os._exit(2)  # an exception here would only be printed, and the application would run unrouted


def _make_way() -> None:
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _HERE]
    spec = PathFinder.find_spec("sitecustomize")
    if spec is not None and spec.loader is not None:
        module = sys.modules["sitecustomize"] = module_from_spec(spec)
        spec.loader.exec_module(module)


if os.environ.get("SHADOW_RUN"):
    _install()
_make_way()
