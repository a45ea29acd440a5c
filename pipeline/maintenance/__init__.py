"""What mends or changes a finished run."""
