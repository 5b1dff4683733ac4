"""Becomes the command that is given, which then ends with the process that started it.

`python leash.py PID COMMAND...`: PID is the one who starts it. A run that is killed would leave its
command on the GPU else, beside the one that goes on with its work. Linux only (prctl(2),
PR_SET_PDEATHSIG, which a plain execve keeps); elsewhere the command is merely started.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        # Both are inherited from whoever started the run, and would keep it alive.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            raise SystemExit("the run that started this is gone")
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
