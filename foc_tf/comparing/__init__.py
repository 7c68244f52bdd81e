"""A grid of rows of flags by seeds: its runs, the choice of a flag on validation, its table."""
