"""The geometry model: image, mask and pointmap in; occupancy latents and layout out (SAM 3D Objects, stage 1)."""
