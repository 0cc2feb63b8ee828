"""Runs a program on a terminal and types an answer when its question is shown.

    terminal.py [["QUESTION", "ANSWER"], …] PROGRAM [ARG…]
"""

import json
import os
import pty
import select
import sys

answers, program = json.loads(sys.argv[1]), sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    os.execv(program[0], program)
shown, asked = b"", 0
while select.select([terminal], [], [], 60)[0]:
    try:
        more = os.read(terminal, 65536)
    except OSError:  # Linux says so at the end.
        break
    if not more:
        break
    shown += more
    if answers and answers[0][0].encode() in shown[asked:]:
        asked = len(shown)
        os.write(terminal, answers.pop(0)[1].encode() + b"\n")
else:
    os.kill(child, 9)
sys.stdout.write(shown.decode(errors="replace").replace("\r\n", "\n"))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) % 256)
