"""Arrays, rows of different lengths and id maps, as files that processes map."""
