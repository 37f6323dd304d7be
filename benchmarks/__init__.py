"""Measuring: models of a real one's shape, and later the load that is put on them."""
