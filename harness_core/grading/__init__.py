"""Grading: by what an evaluator judges, what it answers, and what that means."""
