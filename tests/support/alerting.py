"""What alerts need in tests: a real SMTP server and a real webhook, both in memory."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

import msgspec

from .ports import free_port


@dataclass
class MailServer:
    """Takes mail over SMTP and keeps it. `refusing` makes it answer 451 to every message."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    refusing: bool = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(line: str) -> None:
            writer.write(line.encode() + b"\r\n")

        say("220 test ESMTP")
        while line := await reader.readline():
            command = line.decode().strip().upper().partition(" ")[0]
            if command in ("EHLO", "HELO"):
                say("250-test\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME")
            elif command == "AUTH":
                say("235 welcome")
            elif command == "DATA":
                say("354 go on")
                raw = (await reader.readuntil(b"\r\n.\r\n"))[:-5]
                if self.refusing:
                    say("451 not now")
                else:
                    self.mails.append(email.message_from_bytes(raw, policy=email.policy.default))
                    say("250 taken")
            elif command == "QUIT":
                say("221 bye")
                break
            else:
                say("250 ok")
        writer.close()


@asynccontextmanager
async def mail_server() -> AsyncIterator[MailServer]:
    """A mail server on a free port of 127.0.0.1."""
    mail = MailServer(free_port())
    server = await asyncio.start_server(mail._serve, "127.0.0.1", mail.port)
    async with server:
        yield mail


@dataclass
class Webhook:
    """Takes POSTs over HTTP and keeps their JSON. `status` is what it answers, after what happens `meanwhile`."""

    port: int = 0
    received: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    asked: int = 0
    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length:")[2].partition("\r\n")[0] or 0)
        body = await reader.readexactly(length)
        self.asked += 1
        if self.status == 200:
            self.received.append(msgspec.json.decode(body))
        if self.meanwhile is not None:
            await self.meanwhile()
        writer.write(f"HTTP/1.1 {self.status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    @property
    def url(self) -> str:
        """The alert channel that leads here, with a secret in its path."""
        return f"json://127.0.0.1:{self.port}/hook/s3cretsecret"


@asynccontextmanager
async def webhook() -> AsyncIterator[Webhook]:
    """A webhook on a free port of 127.0.0.1."""
    hook = Webhook(free_port())
    server = await asyncio.start_server(hook._serve, "127.0.0.1", hook.port)
    async with server:
        yield hook
