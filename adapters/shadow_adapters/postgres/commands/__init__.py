"""The commands that PostgreSQL serves, one file each: from a command document to MongoDB's reply."""
