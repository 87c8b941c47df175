"""Tells the operator, wherever they are, that a run is done, waits, fails, meets a limit or stands still."""
