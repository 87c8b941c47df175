"""The rehearsal: a loopback Messages API that plays scripted agents, so that the real SDK and the real
CLI make real tool calls without a network, an account or a cost.

    with start("demo", pace="human") as rehearsal:
        ...  # run the CLI with rehearsal.env()

A scenario is a Python module below `scenarios/`, written in the vocabulary of `words`.
"""

from harness_core.rehearsal.process import Rehearsal, RequestSeen, start

__all__ = ["Rehearsal", "RequestSeen", "start"]
