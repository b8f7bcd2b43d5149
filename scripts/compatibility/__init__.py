"""What scripts/compat is made of: contracts read, requests and answers compared, versions judged."""
