"""The errors that callers may expect; everything else is a bug of this package."""


class CodecError(Exception):
    """Base of all errors raised on purpose."""


class FormatError(CodecError):
    """The file is wrong: no .aec file, damaged, cut off, or made for another model."""


class UsageError(CodecError):
    """The call is wrong: an argument out of range, or an image that cannot be coded."""


def reason(error: BaseException) -> str:
    """The reason of an error, for a line that names the file."""
    if isinstance(error, MemoryError):
        return "not enough memory"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, CodecError | OSError) and str(error):
        return str(error)
    said = str(error).strip().partition("\n")[0]  # some packages go on for pages
    return f"{type(error).__name__}: {said}".rstrip(": ")  # a bug, of whomever
