"""The exceptions that a caller of the library is expected to handle."""


class InputError(ValueError):
    """The input cannot be used; the message says what is wrong, where, and what to do about it."""


class Unavailable(InputError):
    """What is needed is not there now, as a scheduler; the same may succeed later."""


class Cancelled(Exception):
    """A progress callback asked to stop; nothing has been changed."""
