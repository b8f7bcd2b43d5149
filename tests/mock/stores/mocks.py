"""Start mocks in processes that can be killed: forks of this one, which take no time to start.

Each line on standard input is a store, its home and its log as JSON; each mock prints its process
and URL.
"""

import json
import os
import signal
import sys
import time

import flashback_mock
import flashback_mock.stores.postgresql
import flashback_mock.stores.sqlite
from flashback_mock import logs

signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so that killed mocks disappear
contract = flashback_mock.Contract()
with flashback_mock.running(contract):
    pass  # imports and caches what all mocks need

for line in sys.stdin:
    store, home, log = json.loads(line)
    parent = os.getpid()
    if os.fork():
        continue
    os.environ["XDG_DATA_HOME"] = home
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    logs.to_stderr("error", "json")
    with flashback_mock.running(contract, store=store) as mock:
        sys.stdout.write(f"{os.getpid()} {mock.base_url}\n")
        sys.stdout.flush()
        while os.getppid() == parent:
            time.sleep(0.5)
    os._exit(0)
