"""Secret randomness, and the noise that is drawn from it."""
