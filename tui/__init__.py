"""Longwatch's front: the command line and the console. It reads runs and writes the operator's files."""
