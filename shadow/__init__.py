"""Shadow: moves a live Python service from MongoDB and Redis to PostgreSQL, one collection at a time."""

__version__ = "0.1.0"


def install() -> None:
    """Let Shadow's classes take the place of Motor's and PyMongo's in this process, before either is first imported.

    Raises `shadow.installing.TooLate` (a `RuntimeError`), naming the module that was quicker, where one is imported.
    """
    from shadow import installing

    installing.install()
