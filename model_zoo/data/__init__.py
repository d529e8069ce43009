"""Reading built data sets and releases: one reader, one stream of samples, one cache. No torch but in torch_side.py."""
