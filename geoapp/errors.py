"""What the house says when it cannot do what was asked."""


class Refused(Exception):  # noqa: N818 - it is an answer, not a fault
    """The request was understood and is refused; the message tells a person what, where and what to do.

    The command line prints the message alone (no traceback) and ends with exit status 1.
    """
