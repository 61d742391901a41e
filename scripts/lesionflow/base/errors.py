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
