"""A board proves the model: what hal/assumptions.toml believes is measured over the cable, and held against it."""
