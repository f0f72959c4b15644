"""Imported before all else by the server that runs are forked from: Ctrl-C ends it at once.

Python's own answer to it would be a traceback, out of whatever import it came into.
"""

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)
