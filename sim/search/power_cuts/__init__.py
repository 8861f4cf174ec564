"""Lives of a column, cut at every flash operation."""
