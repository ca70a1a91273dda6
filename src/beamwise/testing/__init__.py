"""Toy backbones, naive oracles and suites that every backbone passes."""
