"""Segmenters: a photograph and a click or box in, the object's mask out."""
