"""The machine under a run: files that survive, git, processes and the app under work."""
