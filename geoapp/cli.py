"""The `geoapp` command: mounts the commands that the installed rooms register, and imports none of them itself."""

import sys
import traceback
from importlib.metadata import entry_points

import psycopg
import typer

from geoapp.errors import Refused

GROUP = "geoapp.commands"


def build(names: set[str] | None = None) -> typer.Typer:
    """The command tree. With `names`, only these entry points are loaded (a fast start for one command)."""
    tree = typer.Typer(
        help="GeoApp: 哪里要出事、哪里没人看、哪里没人管 / risk, coverage and duty of a district, on a map.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    for point in sorted(entry_points(group=GROUP), key=lambda p: p.name):
        if names is not None and point.name not in names:
            continue
        command = point.load()
        if isinstance(command, typer.Typer):
            tree.add_typer(command, name=point.name)
        else:
            tree.command(name=point.name)(command)

    @tree.callback()
    def root() -> None:
        """GeoApp."""

    return tree


def main() -> None:
    """Entry point. Exit status 0 done, 1 refused with reasons, 2 wrong usage."""
    known = {p.name for p in entry_points(group=GROUP)}
    asked = {word for word in sys.argv[1:2] if word in known}
    try:
        build(asked or None)()
    except Refused as refusal:
        typer.secho(str(refusal), fg="red", err=True)
        raise SystemExit(1) from None
    except psycopg.OperationalError as fault:
        first = str(fault).strip().splitlines()[0] if str(fault).strip() else type(fault).__name__
        typer.secho(
            f"数据库连接不上 / The database does not answer: {first}\n"
            "  geoapp db up starts the private one; with GEOAPP_DATABASE_URL, check that server.",
            fg="red",
            err=True,
        )
        raise SystemExit(1) from None
    except (
        psycopg.errors.InvalidSchemaName,
        psycopg.errors.UndefinedTable,
        psycopg.errors.UndefinedColumn,
        psycopg.errors.UndefinedFunction,
    ) as fault:
        typer.secho(
            f"数据库结构与程序不符 / The database's schema is not this program's: {fault.diag.message_primary}.\n"
            "  Run: geoapp db up",
            fg="red",
            err=True,
        )
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except Exception:
        # A fault of ours: where it happened is shown, what was in a message of a library is not.
        from geoapp.access.redaction import redact

        sys.stderr.write(redact(traceback.format_exc()))
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
