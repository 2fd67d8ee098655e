"""`netra token`: personal access tokens for programs, made for a user by whoever may read the data directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from netra.cli.accounts import with_users
from netra.cli.output import err, out, print_table
from netra.cli.settings import DATA, with_settings
from netra.config import Settings

if TYPE_CHECKING:
    from netra.identity.personal import AccessToken, PersonalTokens
    from netra.identity.users import Users

app = typer.Typer(help="Personal access tokens: create, list, revoke.", no_args_is_help=True, rich_markup_mode=None)

Email = Annotated[str, typer.Argument(help="Whose token.", metavar="EMAIL", show_default=False)]


@app.command("create")
@with_settings(*DATA)
def create(
    email: Email,
    name: Annotated[str, typer.Option(help="What it is for.")] = "command line",
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="Days until it expires. Default: never.")] = None,
    *,
    settings: Settings,
) -> None:
    """Make a token and print it, once. Programs send it as "Authorization: Bearer TOKEN"."""

    async def work(users: Users, tokens: PersonalTokens) -> tuple[AccessToken, str]:
        user = await users.by_email(email)
        return await tokens.create(user.id, name, None if days is None else days * 86_400)

    token, secret = with_users(settings, work)
    until = "for good" if token.expires_at is None else f"until {token.expires_at:%Y-%m-%d %H:%M} UTC"
    err.print(f"Made {token.id} for {escape(email)}, valid {until}. It is shown only now:")
    out.print(secret, markup=False)  # alone on standard output, so that a script can take it


@app.command("list")
@with_settings(*DATA)
def list_tokens(email: Email, *, settings: Settings) -> None:
    """List a user's tokens, newest first."""

    async def work(users: Users, tokens: PersonalTokens) -> tuple[AccessToken, ...]:
        return await tokens.list((await users.by_email(email)).id)

    found = with_users(settings, work)
    print_table(
        ("id", "name", "begins", "created", "expires", "last used"),
        [
            (
                token.id,
                token.name,
                token.prefix,
                f"{token.created_at:%Y-%m-%d}",
                f"{token.expires_at:%Y-%m-%d}" if token.expires_at else "never",
                f"{token.last_used_at:%Y-%m-%d}" if token.last_used_at else "never",
            )
            for token in found
        ],
    )


@app.command("revoke")
@with_settings(*DATA)
def revoke(
    email: Email,
    token_id: Annotated[str, typer.Argument(help="The id that list shows.", metavar="ID", show_default=False)],
    *,
    settings: Settings,
) -> None:
    """End a token. What it opened is closed within a second."""

    async def work(users: Users, tokens: PersonalTokens) -> None:
        await tokens.revoke((await users.by_email(email)).id, token_id)

    with_users(settings, work)
    out.print(f"Revoked {escape(token_id)}.")
