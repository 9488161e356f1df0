"""Tables: what is public about them, their files, their rows, and their codes."""
