"""The console: a guest on a run, drawn with Textual. It reads what a run leaves on disk and writes what an
operator may write; its exit, crash or hang never touches the run."""
