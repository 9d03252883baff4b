"""Statistics of a cohort, and of published tables: arrays in, small results out."""
