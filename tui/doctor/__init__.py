"""Looks whether a machine and a run's directory have what a run needs; says how to mend what they lack."""
