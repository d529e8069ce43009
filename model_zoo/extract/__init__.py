"""From the decoders of the second stage to files: surface, cleaning, texture, splats. CPU and GPU, no CUDA-only package."""
