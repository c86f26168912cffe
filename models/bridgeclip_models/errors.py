"""The one exception that the command line shows without a traceback."""


class UserError(Exception):
    """Something the user can put right. The text says what, where, and what to do."""
