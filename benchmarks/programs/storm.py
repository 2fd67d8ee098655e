"""One thousand readers that come back at once, for `resume.py`, in a process of their own.

    python storm.py PORT TOKEN THREAD AFTER READERS

Waits for a line on standard input, then connects; prints the seconds until every reader was live again.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from _sockets import Crowd


def main() -> None:
    """Do it once."""
    port, token, thread_id, after, readers = sys.argv[1:]
    headers = {"Authorization": f"Bearer {token}", "Sec-WebSocket-Protocol": "netra.v1"}
    hello = json.dumps({"type": "subscribe", "thread_id": thread_id, "after": int(after)})
    with Crowd(int(port), "/ws", headers, [hello]) as crowd:
        sys.stdin.readline()
        began = time.perf_counter()
        crowd.rush(int(readers), b'"type":"live"')
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main()
