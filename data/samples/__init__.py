"""Specimens that come with microct: SAMPLES.toml has the call, seed and SHA-256 of each."""
