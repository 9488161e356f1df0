"""What a release says of itself to people and programs: model card, metadata, checksums, signature, verification."""
