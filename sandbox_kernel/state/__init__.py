"""What becomes of a session between its cells."""
