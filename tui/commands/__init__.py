"""The commands of `longwatch`, by what they are for: starting runs, looking at them, operating them."""
