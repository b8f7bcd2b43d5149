"""What scripts/compat is made of: contracts are read, compared, and judged."""
