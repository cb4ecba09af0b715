"""Stores in memory, for the simulation. They pass the same contract suite as the real ones."""
