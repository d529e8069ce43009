"""Networks, proposers, data-set builders, training stages and metrics. No Django."""
