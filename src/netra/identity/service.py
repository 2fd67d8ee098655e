"""`Identity`: everything the doors need to know who asks. Built by `netra.app`, used by the gateway.

It guarantees that a credential which was revoked, or whose user was disabled, opens nothing from the commit on; that
callbacks of `on_revoked` run at once for what this process revokes, and `still_valid_many` notices what others did; and
that an email nobody has is answered like a wrong password: same work, same text, same limits.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from netra.clock import Clock
from netra.config import Settings
from netra.errors import (
    Forbidden,
    InvalidCredentials,
    LimitReached,
    NotAuthenticated,
    NotFound,
    RateLimited,
    Unavailable,
)
from netra.monitoring.metrics import metrics
from netra.sessions import RequestScopedSessionFactory
from netra.storage.audit import AuditLog
from netra.storage.tables import micros
from netra.text import clean_text

from . import credentials
from .accounts import Accounts
from .attempts import Attempts
from .logins import Logins, Proofs
from .passwords import MAX_CHARS as PASSWORD_CHARS
from .passwords import Passwords, check_new_password
from .personal import AccessToken, PersonalTokens
from .principal import Credential, Principal, Revoked, User
from .setup import Setup
from .tickets import LIFE_SECONDS, Tickets
from .tokens import AccessTokens
from .users import Users, check_email, check_name, normalise_email
from .validity import Validity

log = structlog.get_logger(__name__)

SEEN = timedelta(minutes=1)
"""The use of a login or token is noted at most this often."""
PURGE_SECONDS = 3600.0

_NO_COOKIE = "You are not signed in."
_SIGN_IN = "Sign in, or send a token as Authorization: Bearer."


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a client gets for proving who it is.

    Args:
        user: who.
        login_id: the login, `ses_…`.
        access_token: for the Authorization header; good for `expires_in` seconds.
        expires_in: seconds.
        refresh_token: for the next pair, once.
        cookie: the value of the page's cookie, or None where the login has one already.
        cookie_seconds: how long the browser should keep it.
    """

    user: User
    login_id: str
    access_token: str = field(repr=False)
    expires_in: int
    refresh_token: str = field(repr=False)
    cookie: str | None = field(repr=False)
    cookie_seconds: int


@dataclass(frozen=True, slots=True)
class Ticket:
    """A socket ticket and its life in seconds."""

    ticket: str = field(repr=False)
    expires_in: int


class Identity:
    """See the module. `start` before use, `stop` after.

    Args:
        database: started.
        clock: for everything that expires.
        settings: `allow_registration`, `access_token_seconds`, `session_days`, `login_attempts`, `password_workers`.
        audit: for what administrators do with accounts.
    """

    def __init__(
        self, database: RequestScopedSessionFactory, clock: Clock, settings: Settings, audit: AuditLog
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._passwords = Passwords(settings.password_workers)
        self._tokens = AccessTokens(database, clock, settings.access_token_seconds)
        self._logins = Logins(database, clock, settings.session_days)
        self._personal = PersonalTokens(database, clock)
        self._tickets = Tickets(database, clock)
        self._setup = Setup(database, clock)
        self._attempts = Attempts(clock, settings.login_attempts)
        self._validity = Validity(database, clock)
        self._callbacks: list[Revoked] = []
        self._noting: dict[str, asyncio.Task[None]] = {}
        self._purging: asyncio.Task[None] | None = None
        self.users = Users(database, clock, self._passwords)
        self.accounts = Accounts(database, clock, self.users, self._logins, self._personal, audit, self._announce)
        self.setup_token: str | None = None
        """After `start`: the token for the link that creates the first administrator, or None when there is one."""

    async def start(self) -> None:
        """Load the signing key, start the password threads, and open the setup if there is no administrator."""
        await self._passwords.start()
        await self._tokens.start()
        self.setup_token = await self._setup.start()
        self._purging = asyncio.create_task(self._purge_for_ever(), name="netra-identity-purge")

    async def stop(self) -> None:
        """End the background work and the threads."""
        purging, self._purging = self._purging, None
        if purging is not None:
            purging.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await purging
        await asyncio.gather(*self._noting.values())
        await self._passwords.stop()

    # Who asks

    async def authenticate_bearer(self, token: str) -> Principal:
        """The holder of an access token or a personal access token.

        Raises:
            NotAuthenticated: it is not valid, or not any more.
        """
        if token.startswith(credentials.PERSONAL):
            found = await self._personal.by_secret(token)
            if found is None:
                raise NotAuthenticated("The access token is not valid.", hint="Make a new one in the settings.")
            self._note(found, self._personal.touch(found.id, self._unseen))
            return _by_token(found)
        claims = self._tokens.verify(token)
        login = await self._logins.by_id(claims.login_id, claims.user_id)
        if login is None:
            raise NotAuthenticated("The login has ended.", hint="Sign in again.")
        self._note(login, self._logins.touch(login.id, self._unseen))
        return _by_login(login, claims.expires_at)

    async def authenticate_cookie(self, value: str) -> Principal:
        """The holder of the page's cookie. Whether the request may use it is the door's to check (Origin).

        Raises:
            NotAuthenticated: the login has ended.
        """
        login = await self._logins.by_cookie(value)
        if login is None:
            raise NotAuthenticated(_NO_COOKIE, hint=_SIGN_IN)
        self._note(login, self._logins.touch(login.id, self._unseen))
        return _by_login(login, login.expires_at)

    async def redeem_ticket(self, ticket: str) -> Principal:
        """The one who asked for a ticket, once.

        Raises:
            NotAuthenticated: used, older than 30 seconds, or the credential it was made with has ended.
        """
        redeemed = await self._tickets.redeem(ticket)
        principal: Principal | None = None
        if redeemed is not None and redeemed.login_id is not None:
            login = await self._logins.by_id(redeemed.login_id, redeemed.user_id)
            principal = None if login is None else _by_login(login, login.expires_at)
        elif redeemed is not None and redeemed.access_token_id is not None:
            token = await self._personal.by_id(redeemed.access_token_id, redeemed.user_id)
            principal = None if token is None else _by_token(token)
        if principal is None:
            raise NotAuthenticated("The ticket is not valid.", hint="Get a new one from POST /api/tickets.")
        return principal

    async def still_valid_many(self, principals: Sequence[Principal]) -> list[bool]:
        """Whether credentials accepted earlier would be accepted now, in order.

        Ask for all of them each time: it costs one row while nothing changes.

        Raises:
            Unavailable: the database cannot be reached; keep the sockets and ask again.
        """
        return await self._validity.of(principals)

    def on_revoked(self, callback: Revoked) -> None:
        """Call `callback(user_id=…, login_id=…, access_token_id=…)` whenever this process ends credentials early.

        It runs on the event loop, after the commit and before the request that caused it is answered. Both ids None:
        everything of that user ended.
        """
        self._callbacks.append(callback)

    # Signing in

    async def setup_required(self) -> bool:
        """Whether the first administrator has yet to be created."""
        return await self._setup.required()

    async def set_up(
        self, token: str, email: str, password: str, name: str | None = None, *, address: str, user_agent: str = ""
    ) -> SignedIn:
        """Create the first administrator, who is then signed in.

        Raises:
            Forbidden: wrong token, or there is an administrator.
            InvalidInput: email, password or name cannot be used.
            Conflict: the email has an account.
            RateLimited: too many wrong tokens from this address.
        """
        with self._attempts.begin(self._attempts.address(address)) as attempt:
            await self._setup.check(token)
            attempt.succeeded()
        email = check_email(email)
        name = check_name(name, email)
        check_new_password(password, email)
        async with self._passwords.turn():
            password_hash = await self._passwords.hash(password)
        user = await self._setup.redeem(token, email, name, password_hash)
        self.setup_token = None
        log.info("first administrator created", user_id=user.id)
        return await self._sign_in(user, password_hash, user_agent)

    async def register(
        self, email: str, password: str, name: str | None = None, *, address: str, user_agent: str = ""
    ) -> SignedIn:
        """Create an account, whose owner is then signed in.

        That an email has an account can be learned here: without sending mail there is no way around it. So it counts
        as a failed attempt of the address, and registration is off unless the operator wants it.

        Raises:
            NotFound: registration is off.
            InvalidInput: email, password or name cannot be used.
            Conflict: the email has an account.
            RateLimited: too many failures from this address.
        """
        if not self._settings.allow_registration:
            raise NotFound("There is nothing here.")
        email = check_email(email)
        check_name(name, email)
        check_new_password(password, email)
        key = self._attempts.address(address)
        self._attempts.check(key)
        async with self._passwords.turn():
            with self._attempts.begin(key) as attempt:
                user = await self.users.create(email, password, name)
                attempt.succeeded()
        log.info("user registered", user_id=user.id)
        found = await self.users.with_hash(user_id=user.id)
        if found is None:
            raise NotAuthenticated(_NO_COOKIE, hint=_SIGN_IN)
        return await self._sign_in(user, found[1], user_agent)

    async def sign_in(self, email: str, password: str, *, address: str, user_agent: str = "") -> SignedIn:
        """Begin a login with email and password.

        Args:
            email, password: as typed.
            address: the client's, for the limit.
            user_agent: what the client says it is, for the list of logins.

        Raises:
            InvalidInput: text that no account could have.
            InvalidCredentials: unknown email, wrong password, or a disabled account: the same answer.
            RateLimited: too many failures of this account or address.
        """
        clean_text(email, field="email", max_chars=320)
        clean_text(password, field="password", max_chars=PASSWORD_CHARS)
        email = normalise_email(email)
        keys = (self._attempts.account(email), self._attempts.address(address))
        try:
            self._attempts.check(*keys)
            async with self._passwords.turn():
                with self._attempts.begin(*keys) as attempt:
                    found = await self.users.with_hash(email=email)
                    right = await self._passwords.verify(found and found[1], password)
                    if found is None or not right or found[0].disabled_at is not None:
                        raise InvalidCredentials("Email or password is wrong.")
                    attempt.succeeded()
        except InvalidCredentials:
            metrics.sign_ins.labels("refused").inc()
            log.info("sign-in refused", address=address)
            raise
        except (RateLimited, LimitReached):
            metrics.sign_ins.labels("limited").inc()
            log.info("sign-in limited", address=address)
            raise
        user, password_hash = found
        if self._passwords.outdated(password_hash):
            password_hash = await self._rehash(user, password, password_hash)
        return await self._sign_in(user, password_hash, user_agent)

    async def _rehash(self, user: User, password: str, old_hash: str) -> str:
        async with self._passwords.turn():
            new_hash = await self._passwords.hash(password)
        return new_hash if await self.users.rehash(user.id, old_hash, new_hash) else old_hash

    async def _sign_in(self, user: User, password_hash: str, user_agent: str) -> SignedIn:
        proofs = await self._logins.create(user, password_hash, user_agent)
        if proofs is None:  # the password changed, or the account closed, while this one was being hashed
            raise InvalidCredentials("Email or password is wrong.")
        metrics.sign_ins.labels("succeeded").inc()
        log.info("signed in", user_id=user.id, login_id=proofs.login_id)
        return self._signed_in(proofs)

    async def refresh(self, refresh_token: str) -> SignedIn:
        """The next pair of tokens. The use of an old refresh token ends its login.

        Raises:
            NotAuthenticated: used before, unknown, or the login has ended.
        """
        proofs, reused = await self._logins.rotate(refresh_token)
        if reused is not None:
            self._announce(reused[0], login_id=reused[1])
        if proofs is None:
            raise NotAuthenticated("The refresh token is not valid.", hint="Sign in again.")
        return self._signed_in(proofs)

    async def refresh_cookie(self, value: str) -> SignedIn:
        """A new pair of tokens for the login with this cookie, which stays as it is.

        Raises:
            NotAuthenticated: the login has ended.
        """
        login = await self._logins.by_cookie(value)
        if login is None:
            raise NotAuthenticated(_NO_COOKIE, hint=_SIGN_IN)
        return self._signed_in(await self._logins.renew(login))

    async def sign_out(self, principal: Principal) -> None:
        """End the login behind a principal.

        Raises:
            Forbidden: it came with a personal access token, which is revoked by its id.
        """
        if principal.login_id is None:
            raise Forbidden("A personal access token has no login to end.", hint="Revoke it: DELETE /api/tokens/{id}.")
        if await self._logins.revoke(principal.login_id):
            self._announce(principal.user.id, login_id=principal.login_id)

    # The account

    async def change_password(self, principal: Principal, current: str, new: str) -> None:
        """Change one's own password. Every other login of the user ends; personal access tokens stay.

        Raises:
            InvalidCredentials: `current` is wrong.
            InvalidInput: `new` cannot be used.
            RateLimited: too many wrong ones.
        """
        clean_text(current, field="current", max_chars=PASSWORD_CHARS)
        check_new_password(new, principal.user.email, field="new")
        user_id = principal.user.id
        key = self._attempts.account(user_id)
        self._attempts.check(key)
        async with self._passwords.turn():
            with self._attempts.begin(key) as attempt:
                found = await self.users.with_hash(user_id=user_id)
                if not await self._passwords.verify(found and found[1], current) or found is None:
                    raise InvalidCredentials("The current password is wrong.", field="current")
                attempt.succeeded()
            new_hash = await self._passwords.hash(new)
        ended = await self.users.replace_hash(user_id, new_hash, old_hash=found[1], keep=principal.login_id)
        if ended is None:
            raise InvalidCredentials("The current password is wrong.", field="current")
        log.info("password changed", user_id=user_id, logins_ended=len(ended))
        for login_id in ended:
            self._announce(user_id, login_id=login_id)

    async def set_password(self, user_id: str, password: str) -> None:
        """Give a user another password, as an administrator. All their logins and tokens end. Errors: `Users`."""
        await self.users.set_password(user_id, password)
        self._announce(user_id)

    async def disable(self, user_id: str) -> None:
        """Close an account; its sockets close with it.

        Raises:
            NotFound: there is no such user.
        """
        await self.users.disable(user_id)
        self._announce(user_id)

    async def create_ticket(self, principal: Principal) -> Ticket:
        """A socket ticket for the holder of a credential.

        Raises:
            LimitReached: too many are open.
        """
        return Ticket(await self._tickets.create(principal), LIFE_SECONDS)

    async def tokens(self, principal: Principal) -> tuple[AccessToken, ...]:
        """The user's personal access tokens, newest first."""
        return await self._personal.list(principal.user.id)

    async def create_token(
        self, principal: Principal, name: str, expires_in: int | None = None
    ) -> tuple[AccessToken, str]:
        """Make a personal access token; returns it and its secret, to be shown once. Errors: `PersonalTokens.create`.

        Raises:
            Forbidden: asked with a personal access token, which could then outlive its own end.
        """
        if principal.login_id is None:
            raise Forbidden("Access tokens cannot make access tokens.", hint="Sign in with email and password.")
        token, secret = await self._personal.create(principal.user.id, name, expires_in, login_id=principal.login_id)
        log.info("personal access token created", user_id=principal.user.id, access_id=token.id)
        return token, secret

    async def revoke_token(self, principal: Principal, token_id: str) -> None:
        """End one of the user's personal access tokens.

        Raises:
            NotFound: there is none, or it is somebody else's.
        """
        await self._personal.revoke(principal.user.id, token_id)
        self._announce(principal.user.id, access_token_id=token_id)

    async def purge(self) -> None:
        """Forget what ended long ago. Done every hour by itself."""
        await self._tickets.purge()
        await self._logins.purge()
        await self._personal.purge()

    # Inside

    def _signed_in(self, proofs: Proofs) -> SignedIn:
        return SignedIn(
            user=proofs.user,
            login_id=proofs.login_id,
            access_token=self._tokens.issue(proofs.user.id, proofs.login_id),
            expires_in=self._tokens.seconds,
            refresh_token=proofs.refresh_token,
            cookie=proofs.cookie,
            cookie_seconds=int(self._logins.life.total_seconds()),
        )

    def _announce(self, user_id: str, *, login_id: str | None = None, access_token_id: str | None = None) -> None:
        for callback in self._callbacks:
            callback(user_id=user_id, login_id=login_id, access_token_id=access_token_id)

    @property
    def _unseen(self) -> int:
        return micros(self._clock.now() - SEEN)

    def _note(self, credential: Credential, noting: Coroutine[Any, Any, None]) -> None:
        """Write down in the background that a credential is in use; asking must not wait for a disk."""
        due = credential.seen_at is None or credential.seen_at < self._clock.now() - SEEN
        if not due or credential.id in self._noting or self._purging is None:
            noting.close()
            return

        async def write() -> None:
            try:
                await noting
            except Unavailable:
                log.warning("use of a credential not noted", credential_id=credential.id)
            finally:
                del self._noting[credential.id]

        self._noting[credential.id] = asyncio.create_task(write())

    async def _purge_for_ever(self) -> None:
        while True:
            await asyncio.sleep(PURGE_SECONDS)
            try:
                await self.purge()
            except Unavailable:
                log.warning("purge of ended logins put off")


def _by_login(login: Credential, expires_at: datetime | None) -> Principal:
    return Principal(login.user, login.user.scope, login.id, None, expires_at)


def _by_token(token: Credential) -> Principal:
    return Principal(token.user, token.user.scope, None, token.id, token.expires_at)
