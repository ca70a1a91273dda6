"""From items to tokens."""
