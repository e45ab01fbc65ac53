"""Replace this process by a program that ends when its parent ends, and that may refuse to run as root.

    python -I -S leash.py PARENT_PID SIGNAL [--not-root] PROGRAM [ARGUMENT...]

Standard library only, and started without site-packages: it costs a few milliseconds. Linux delivers
SIGNAL when the parent dies, even by SIGKILL; elsewhere the program runs without that.

PostgreSQL refuses uid 0. With --not-root it is given another one, without creating a user and without
changing permissions on the way to its files:

* in a user namespace of its own, where our uid is called 1; on disk nothing changes its owner;
* where namespaces are refused, as `nobody` that keeps the capabilities to reach files of others; the
  data folder is handed over to it first.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import struct
import sys

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG, PR_SET_SECUREBITS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 28, 47, 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAPABILITY_VERSION_3 = 0x20080522
#: CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER.
FILE_CAPABILITIES = (0, 1, 2, 3)
INSIDE_ID = 1


def main(arguments: list[str]) -> None:
    parent, signal_number, rest = int(arguments[0]), int(arguments[1]), arguments[2:]
    if rest[0] == "--not-root":
        rest = rest[1:]
        if needs_other_user():
            become_other_user(rest)
    end_with_parent(parent, signal_number)
    os.execv(rest[0], rest)


def end_with_parent(parent: int, signal_number: int) -> None:
    """Last of all steps: a change of uid clears it."""
    if sys.platform != "linux":
        return
    checked(ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0), "prctl")
    if os.getppid() != parent:
        sys.exit("the parent is gone already")


def needs_other_user() -> bool:
    """Root is refused by PostgreSQL, and so is a uid that has no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_uid == 0
    except KeyError:
        return True


def become_other_user(command: list[str]) -> None:
    data = command[command.index("-D") + 1] if "-D" in command else None
    if namespace_works():
        own(data, os.geteuid(), os.getegid())
        enter_namespace()
    else:
        become_nobody(data)


def own(data: str | None, uid: int, gid: int) -> None:
    """Hand `data` over: an earlier run may have left it to another uid."""
    if data is None or not os.path.isdir(data) or os.stat(data).st_uid == uid:
        return
    for folder, _, files in os.walk(data):
        for path in (folder, *(os.path.join(folder, name) for name in files)):
            os.chown(path, uid, gid, follow_symlinks=False)


def enter_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()
    checked(ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER), "unshare")
    for name, line in (
        ("setgroups", "deny"),
        ("uid_map", f"{INSIDE_ID} {uid} 1"),
        ("gid_map", f"{INSIDE_ID} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(line)


def namespace_works() -> bool:
    """Tried by a child first: a half-made namespace cannot be left again."""
    child = os.fork()
    if child == 0:
        try:
            enter_namespace()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def become_nobody(data: str | None) -> None:
    nobody = pwd.getpwnam("nobody")
    own(data, nobody.pw_uid, nobody.pw_gid)
    libc = ctypes.CDLL(None, use_errno=True)
    # Without it access(2) would not count the capabilities that are kept.
    checked(libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0), "securebits")
    os.setgroups([])
    os.setresgid(nobody.pw_gid, nobody.pw_gid, nobody.pw_gid)
    os.setresuid(nobody.pw_uid, nobody.pw_uid, nobody.pw_uid)
    kept = [capability for capability in FILE_CAPABILITIES if permitted_capabilities() >> capability & 1]
    mask = sum(1 << capability for capability in kept)
    header = struct.pack("<Ii", CAPABILITY_VERSION_3, 0)
    checked(libc.capset(header, struct.pack("<6I", mask, mask, mask, 0, 0, 0)), "capset")
    for capability in kept:
        checked(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0), "ambient capability")


def permitted_capabilities() -> int:
    with open("/proc/self/status") as file:
        return int(next(line for line in file if line.startswith("CapPrm")).split()[1], 16)


def checked(result: int, what: str) -> None:
    if result:
        raise OSError(ctypes.get_errno(), what)


if __name__ == "__main__":
    main(sys.argv[1:])
