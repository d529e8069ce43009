"""Builders of the data sets Iso-3DO and RP-3DO: plan, shards, index. No torch but in latents.py, no Django."""
