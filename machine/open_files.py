"""How many files and sockets this process may have open: as many as it is allowed to ask for."""

import resource


def allow_open_files(wanted: int) -> int:
    """Raise the limit towards `wanted`, as far as it may be raised; returns what it is then.

    The soft limit is 1,024 in many places, for programs that use select(); the hard one is what is meant.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted if soft == resource.RLIM_INFINITY else soft
    raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, raised), hard))
    return max(soft, raised)
