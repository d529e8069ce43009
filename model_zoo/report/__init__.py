"""The report on an artist's mesh: what is wrong, where, how it looks, and the repairs that are safe."""
