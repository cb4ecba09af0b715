"""Shadow: moves a live Python service from MongoDB and Redis to PostgreSQL, one collection at a time."""

__version__ = "0.1.0"
