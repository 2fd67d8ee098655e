"""`netra user`: add, list, disable and enable users, and set passwords."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from netra.cli.accounts import ask_password, with_users
from netra.cli.output import out, print_table
from netra.cli.settings import DATA, with_settings
from netra.config import Settings

if TYPE_CHECKING:
    from netra.identity.personal import PersonalTokens
    from netra.identity.users import Users

app = typer.Typer(
    help="Users: add, list, disable, enable, set a password.", no_args_is_help=True, rich_markup_mode=None
)

Email = Annotated[str, typer.Argument(help="The email the user signs in with.", metavar="EMAIL", show_default=False)]


@app.command("add")
@with_settings(*DATA)
def add(
    email: Email,
    name: Annotated[str | None, typer.Option(help="For people. Default: the email up to the @.")] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Make the user an administrator.")] = False,
    *,
    settings: Settings,
) -> None:
    """Add a user. The password is asked for, or read from standard input."""
    password = ask_password()
    roles = ("user", "admin") if admin else ("user",)
    user = with_users(
        settings,
        lambda users, _: users.create(email, password, name, roles=roles),
        action="user.create",
        target=email,
    )
    out.print(f"Added {escape(user.email)}{' as an administrator' if admin else ''} ({user.id}).")


@app.command("list")
@with_settings(*DATA)
def list_users(*, settings: Settings) -> None:
    """List every user, oldest first."""
    users = with_users(settings, lambda users, _: users.list())
    print_table(
        ("email", "name", "roles", "created", "state", "id"),
        [
            (
                user.email,
                user.name,
                ", ".join(sorted(user.roles)),
                f"{user.created_at:%Y-%m-%d}",
                "active" if user.disabled_at is None else f"disabled {user.disabled_at:%Y-%m-%d}",
                user.id,
            )
            for user in users
        ],
    )


@app.command("disable")
@with_settings(*DATA)
def disable(email: Email, *, settings: Settings) -> None:
    """Close an account: its logins, tokens and open sockets end. Its data stays."""

    async def work(users: Users, _: PersonalTokens) -> None:
        await users.disable((await users.by_email(email)).id)

    with_users(settings, work, action="user.disable", target=email)
    out.print(f"Disabled {escape(email)}.")


@app.command("enable")
@with_settings(*DATA)
def enable(email: Email, *, settings: Settings) -> None:
    """Open a disabled account again. Its logins and tokens stay ended."""

    async def work(users: Users, _: PersonalTokens) -> None:
        await users.enable((await users.by_email(email)).id)

    with_users(settings, work, action="user.enable", target=email)
    out.print(f"Enabled {escape(email)}.")


@app.command("password")
@with_settings(*DATA)
def password(email: Email, *, settings: Settings) -> None:
    """Give a user another password. Every login and token of theirs ends."""

    async def work(users: Users, _: PersonalTokens) -> None:
        await users.set_password((await users.by_email(email)).id, new)

    new = ask_password()
    with_users(settings, work, action="user.password", target=email)
    out.print(f"Changed the password of {escape(email)}; every login and token of theirs has ended.")
