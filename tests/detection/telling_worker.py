"""A teller that is killed: for each line of standard input a process of its own that tells until it dies.

python telling_worker.py URL. Prints the process's id, and "ended" when it is gone. One start of Python for many deaths.
"""

import os
import sys
import time

from geoapp.logs import configure_logs
from geoapp.watch.telling import senders  # all that a teller needs, before it forks
from geoapp.watch.telling.config import TellingConfig
from geoapp.watch.telling.connections import Connections
from geoapp.watch.telling.deliver import Telling


def tell(url: str) -> None:
    """Until somebody kills this process."""
    assert senders.SENDERS
    configure_logs(as_json=True)
    config = TellingConfig(retry_first_s=0.05, pause_most_s=0.1, total_s=5)
    telling = Telling(Connections(url).connection, config)
    while True:
        telling.tick()
        time.sleep(0.02)


for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        tell(sys.argv[1])
        os._exit(1)
    print(child, flush=True)
    os.waitpid(child, 0)
    print("ended", flush=True)
