"""Runs evaluated and compared, and the demo."""
