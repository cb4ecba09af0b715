"""Mark, write, sync: how the two stores of an entity are kept equal. No driver, no SQL: stores are behind contracts."""
