"""Doing: one coordinator that decides and writes, workers that only run attempts."""
