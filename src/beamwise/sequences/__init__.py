"""Histories and targets, in batches, with negatives."""
