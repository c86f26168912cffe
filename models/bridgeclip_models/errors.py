"""The only exception that the command line reports without a traceback."""


class UserError(Exception):
    """An error that the user can correct. Its text says what is wrong, where, and what to do."""
