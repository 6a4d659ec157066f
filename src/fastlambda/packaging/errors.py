"""Why a zip cannot be made."""


class PackagingError(Exception):
    """The zip cannot be made; the text says what, where, and what to type."""


class BadArgument(PackagingError):
    """It was asked for wrongly: nothing was started."""


class TooLarge(PackagingError):
    """Lambda would refuse the contents."""
