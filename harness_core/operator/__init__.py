"""The operator's side: what commands and consoles write into a run, and how an engine takes it up."""
