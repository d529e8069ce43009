"""Networks, proposers, mesh and picture tools, training stages and metrics. No Django anywhere below."""
