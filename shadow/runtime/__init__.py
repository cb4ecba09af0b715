"""Shadow in one process: what a façade's client is tied to."""

from shadow.runtime.runtime import Binding, Runtime, attach, current, install, uninstall

__all__ = ["Binding", "Runtime", "attach", "current", "install", "uninstall"]
