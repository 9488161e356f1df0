"""One run: its options, the data they declare, and its folder."""
