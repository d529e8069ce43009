"""Measurements beside their peer or limit; `make bench`, `make bench-model` and `make bench-data` run them."""
