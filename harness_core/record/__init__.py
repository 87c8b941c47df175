"""The record: what can happen, where it is written, and what it makes of a run."""
