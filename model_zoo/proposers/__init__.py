"""Proposers: an object in a photograph in, posed candidate meshes out."""
