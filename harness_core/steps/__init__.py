"""What a run does next, the steps that sessions are held for, and what one session leaves to the next."""
