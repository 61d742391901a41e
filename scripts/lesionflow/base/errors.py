"""Errors that the user can fix, one class per cause.

Any other exception is a bug of lesionflow or of a library and keeps its traceback.
"""


class LesionflowError(Exception):
    """An error that the user can fix. Its message is one line: the file or key, the expected value, the remedy."""


class ConfigError(LesionflowError):
    """A config that cannot be run. The message names the key, its value and the allowed values."""


class CardError(LesionflowError):
    """A model card that cannot be used. The message names the card, the key, its value and the allowed values."""


class CohortError(LesionflowError):
    """A cohort that cannot be listed."""


class WeightsError(LesionflowError):
    """Weights that are missing or not those of the card: the file, its expected and its actual content."""


class ReviewError(LesionflowError):
    """A review file that cannot be used. The message names the file, the line, what was expected and the remedy."""


class DamagedFileError(LesionflowError, ValueError):
    """A file of lesionflow that is empty, cut off or overwritten. The message names it and what was expected.

    Parameters
    ----------
    path
        The file.
    expected
        What it should hold.
    found
        What it holds.
    """

    def __init__(self, path: object, expected: str, found: str):
        super().__init__(
            f"{path} is damaged: it should be {expected}, but {' '.join(found.split())}. Delete it and run the same "
            "command again"
        )
        self.arguments = path, expected, found

    def __reduce__(self):
        """Keep the arguments when the error is passed between processes."""
        return type(self), self.arguments


class ScanError(LesionflowError):
    """A scan that cannot be used as it is.

    Parameters
    ----------
    reason
        The message.
    status
        The status of the scan in the cohort table (``results.columns.STATUS``).
    """

    def __init__(self, reason: str, status: str = "unreadable"):
        super().__init__(reason)
        self.status = status

    def __reduce__(self):
        """Keep the status when the error is passed between processes."""
        return type(self), (str(self), self.status)
