"""The parts of scripts/compat: contracts are read, compared, judged and reported."""
