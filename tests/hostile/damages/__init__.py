"""All kinds of damage, by what they damage; importing this registers them."""

from tests.hostile.damages import amounts, features, files, ids, schemas, times, vectors, weights

__all__ = ["amounts", "features", "files", "ids", "schemas", "times", "vectors", "weights"]
