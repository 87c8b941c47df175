"""What all who show a run read it with, console and report alike: journal, contract, evidence, costs."""
