"""Texture and refinement: from active voxels and a photo to Gaussians and a fine coloured mesh."""
