"""Decides where each call on a configured collection goes, and keeps the protocol around it."""

from shadow.router.router import Router

__all__ = ["Router"]
