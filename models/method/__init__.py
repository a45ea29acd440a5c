"""The methods and their formulas."""
