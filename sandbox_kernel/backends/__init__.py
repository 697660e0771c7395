"""Where sandboxes come from. :mod:`.base` is the seam; each other module here stands behind it."""
