"""The box: what the operating system closes for agents, and the drill that shows that it does."""
