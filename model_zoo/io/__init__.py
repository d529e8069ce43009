"""Everything that parses a user's bytes or writes shards: pure functions with limits, no torch, no Django."""
