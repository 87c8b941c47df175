"""Evidence: which files can prove something, what a session has seen of them, whether they carry a claim."""
