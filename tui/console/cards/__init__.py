"""Questions that the console asks beside what it shows, so that nothing is hidden while one answers."""
