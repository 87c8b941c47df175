from harness_core.layout import RunDir
def watchable(run: RunDir) -> RunDir:
    return run
