"""Extraction in several processes. A file that kills its process, or takes for ever, costs that file only.

Workers are plain interpreters that read requests from their standard input, so nothing depends on how this process was
started or which threads it has. A request is a list of paths; the answer to each is the hash of the content that was
read and the packed facts.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import IO, Final

import msgspec

from .pack import pack
from .source import make, nothing

CHUNK_BYTES: Final = 384 * 1024
"""Of source, in one request."""
RECYCLE_BYTES: Final = 32 * 1024 * 1024
"""Of source, after which a worker gives way to a new one, so that what it has not given back is bounded."""
CHUNK_SECONDS: Final = 120
"""After which a worker is taken to hang."""
SMALL_BYTES: Final = 1500 * 1024
"""Of source: for less than this, starting processes takes longer than it saves."""
_COLLECT_BYTES: Final = 8 * 1024 * 1024

Made = tuple[int, bytes, list[bytes]]
"""Number of the file, key of its content, and parts of its record."""

_REQUEST: Final = msgspec.msgpack.Decoder(list[str])
_ANSWER: Final = msgspec.msgpack.Decoder(tuple[bytes, list[bytes]])


def cores() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run(paths: Sequence[str], sizes: Sequence[int], jobs: int, done: Callable[[int], None]) -> Iterator[Made]:
    """Extract files, in any order.

    Args:
        sizes: in bytes, of each.
        jobs: processes; 0 for one for each processor.
        done: called with how many files are finished.
    """
    jobs = jobs or cores()
    finished = 0
    if jobs < 2 or sum(sizes) < SMALL_BYTES or not sys.executable:
        for number, path in enumerate(paths):
            key, facts = make(path)
            yield number, key, pack(facts)
            finished += 1
            done(finished)
        return
    chunks = _chunks(sizes)
    work: SimpleQueue[list[int]] = SimpleQueue()
    for chunk in chunks:
        work.put(chunk)
    made: SimpleQueue[Made | BaseException | None] = SimpleQueue()
    stop = threading.Event()
    threads = [
        threading.Thread(target=_feed, args=(paths, sizes, work, made, stop), daemon=True)
        for _ in range(min(jobs, len(chunks)))
    ]
    for thread in threads:
        thread.start()
    alive = len(threads)
    try:
        while alive:
            got = made.get()
            if got is None:
                alive -= 1
            elif isinstance(got, BaseException):
                raise got
            else:
                yield got
                finished += 1
                done(finished)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _chunks(sizes: Sequence[int]) -> list[list[int]]:
    """Files in requests of about the same size, the largest files first."""
    chunks: list[list[int]] = []
    room = 0
    for number in sorted(range(len(sizes)), key=lambda each: -sizes[each]):
        if room <= 0:
            chunks.append([])
            room = CHUNK_BYTES
        chunks[-1].append(number)
        room -= sizes[number] + 512
    return chunks


def _feed(
    paths: Sequence[str],
    sizes: Sequence[int],
    work: SimpleQueue[list[int]],
    made: SimpleQueue[Made | BaseException | None],
    stop: threading.Event,
) -> None:
    """Keep one worker busy, and replace it when it is old or dies."""
    worker: _Worker | None = None
    used = 0
    try:
        while not stop.is_set():
            try:
                chunk = work.get_nowait()
            except Empty:
                return
            if worker is None or used > RECYCLE_BYTES:
                if worker is not None:
                    worker.close()
                worker, used = _Worker(), 0
            answered = 0
            for answer in worker.ask([paths[number] for number in chunk]):
                if stop.is_set():
                    return
                made.put((chunk[answered], *answer))
                answered += 1
            used += sum(sizes[number] for number in chunk)
            if answered < len(chunk):
                # The file it died of is named; the rest of the request is for a new one.
                worker.close()
                worker = None
                made.put((chunk[answered], b"", pack(nothing("the parser did not survive it"))))
                if rest := chunk[answered + 1 :]:
                    work.put(rest)
    except BaseException as error:  # noqa: BLE001 - raised again where the results are read
        made.put(error)
    finally:
        if worker is not None:
            worker.close()
        made.put(None)


class _Worker:
    """An interpreter that extracts."""

    def __init__(self) -> None:
        path = [each for each in sys.path if each]
        code = f"import sys; sys.path[:] = {json.dumps(path)}; from netra.compliance.pool import serve; serve()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def ask(self, paths: list[str]) -> Iterator[tuple[bytes, list[bytes]]]:
        """The answers, as many as it lives to give."""
        assert self._process.stdin is not None and self._process.stdout is not None
        patience = threading.Timer(CHUNK_SECONDS, self._process.kill)
        patience.daemon = True
        patience.start()
        try:
            _send(self._process.stdin, msgspec.msgpack.encode([os.fsencode(each).hex() for each in paths]))
            for _ in paths:
                answer = _receive(self._process.stdout)
                if answer is None:
                    return
                yield _ANSWER.decode(answer)
        except (OSError, msgspec.MsgspecError):
            return
        finally:
            patience.cancel()

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def serve() -> None:
    """What a worker does: answer requests until there are no more."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    gc.disable()  # facts and trees have no cycles worth looking for after each file
    gc.freeze()  # nor has what is imported, which stays
    since = 0
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        while (request := _receive(requests)) is not None:
            for name in _REQUEST.decode(request):
                path = os.fsdecode(bytes.fromhex(name))
                key, facts = make(path)
                _send(answers, msgspec.msgpack.encode((key, pack(facts))))
                since += 4096 + 60 * facts.lines
                if since > _COLLECT_BYTES:
                    gc.collect()
                    since = 0


def _send(stream: IO[bytes], message: bytes) -> None:
    stream.write(len(message).to_bytes(4, "little") + message)
    stream.flush()


def _receive(stream: IO[bytes]) -> bytes | None:
    size = stream.read(4)
    if len(size) < 4:
        return None
    message = stream.read(int.from_bytes(size, "little"))
    return message if len(message) == int.from_bytes(size, "little") else None
