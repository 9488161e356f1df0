"""What a metric is, what it looks at, and how a bare number becomes a readable score."""
