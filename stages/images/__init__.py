"""One image file: decoded, checked, encoded."""
