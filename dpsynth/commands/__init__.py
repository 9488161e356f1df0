"""The command line: train, generate, evaluate and schema."""
