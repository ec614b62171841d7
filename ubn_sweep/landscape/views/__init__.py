"""What the observations say, as numbers."""
