"""Who is asking, and from where: what every audit entry says about its origin.

Owns reading the process: user (uid, name, the one behind sudo), host, pid, working directory, the CI job if there is
one. Arguments are kept with what looks secret masked.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backfill_cli.core.masking import LOOKS_SECRET, MASK

CI_JOBS = {
    "GITHUB_ACTIONS": ("github", ("GITHUB_REPOSITORY", "GITHUB_WORKFLOW", "GITHUB_RUN_ID", "GITHUB_ACTOR")),
    "GITLAB_CI": ("gitlab", ("CI_PROJECT_PATH", "CI_PIPELINE_ID", "CI_JOB_ID", "GITLAB_USER_LOGIN")),
    "JENKINS_URL": ("jenkins", ("JOB_NAME", "BUILD_NUMBER")),
    "BUILDKITE": ("buildkite", ("BUILDKITE_PIPELINE_SLUG", "BUILDKITE_BUILD_NUMBER")),
    "CIRCLECI": ("circleci", ("CIRCLE_PROJECT_REPONAME", "CIRCLE_BUILD_NUM")),
    "CI": ("ci", ()),
}


def user_name(environ: Mapping[str, str]) -> str:
    """Return the name behind this process: the user, or `root (sudo alice)`."""
    import pwd

    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid {uid}"
    behind = environ.get("SUDO_USER")
    return f"{name} (sudo {behind})" if behind and behind != name else name


def host_name() -> str:
    return socket.gethostname()


def origin(environ: Mapping[str, str], command: Sequence[str]) -> dict[str, Any]:
    """Return where a command came from, for the details of an audit entry."""
    found: dict[str, Any] = {"uid": os.getuid(), "pid": os.getpid()}
    try:
        found["cwd"] = str(Path.cwd())
    except FileNotFoundError:  # the folder was removed under us
        found["cwd"] = None
    if command:
        found["command"] = mask_arguments(command)
    for variable, (system, names) in CI_JOBS.items():
        if environ.get(variable):
            found["ci"] = {"system": system, **{name: environ[name] for name in names if environ.get(name)}}
            break
    return found


def mask_arguments(command: Sequence[str]) -> list[str]:
    """Return the arguments with values that look secret masked, `key=value` and JSON alike.

    Of a webhook only the host is kept: its token may stand anywhere in the address.
    """
    masked = []
    for before, argument in zip(("", *command), command, strict=False):
        flag, equals, value = argument.partition("=")
        if before == "--on-event":
            masked.append(_shown_target(argument))
        elif flag == "--on-event" and equals:
            masked.append(f"{flag}={_shown_target(value)}")
        else:
            masked.append(_mask_argument(argument))
    return masked


def _shown_target(target: str) -> str:
    from backfill_cli.core.links import scheme_of, shown_link

    return shown_link(target) if scheme_of(target) else _mask_argument(target)


def _mask_argument(argument: str) -> str:
    flag = re.match(r"--[a-z][a-z-]*=", argument)
    if flag is not None:  # --conf=token=x and --conf='{"token": "x"}' are one word each
        return flag[0] + _mask_argument(argument[flag.end() :])
    if "://" in argument:
        argument = re.sub(r"(://[^:/@\s]*:)[^@\s]*@", rf"\1{MASK}@", argument)
    if argument.lstrip().startswith("{"):
        import json

        try:
            return json.dumps(mask_conf(json.loads(argument)))
        except ValueError:
            return argument
    key, equals, value = argument.partition("=")
    return f"{key}={MASK}" if equals and LOOKS_SECRET.search(key) and not value.startswith("secret:") else argument


def mask_conf(value: Any) -> Any:
    """Return a conf with the values of secret-looking keys masked; `secret:` references stay readable."""
    if isinstance(value, Mapping):
        return {key: MASK if _is_secret(str(key), one) else mask_conf(one) for key, one in value.items()}
    return [mask_conf(one) for one in value] if isinstance(value, list | tuple) else value


def secret_keys(conf: Mapping[str, Any]) -> list[str]:
    """Return the top-level keys of a conf that look secret and hold a literal value."""
    return [key for key, value in conf.items() if _is_secret(str(key), value)]


def _is_secret(key: str, value: Any) -> bool:
    return bool(LOOKS_SECRET.search(key)) and not (isinstance(value, str) and value.startswith("secret:"))
