"""Aggregation pipelines in memory: compile once, run over batches of documents."""

from __future__ import annotations

from shadow_adapters.bson.pipeline.flow import Batch, Context, Document, Reading, Sources, slices
from shadow_adapters.bson.pipeline.leading import Leading, leading
from shadow_adapters.bson.pipeline.pipeline import Pipeline, compile_pipeline

__all__ = [
    "Batch",
    "Context",
    "Document",
    "Leading",
    "Pipeline",
    "Reading",
    "Sources",
    "compile_pipeline",
    "leading",
    "slices",
]
