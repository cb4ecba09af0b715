"""`shadow demo`: an application under load moves from MongoDB to PostgreSQL, back, and to the end, on real servers."""
