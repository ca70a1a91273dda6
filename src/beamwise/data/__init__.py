"""Interactions and items: checked, filtered, split, and read from their sources."""
