"""Errors that the user can mend: one class for each thing that may be wrong.

Any other exception is a bug of lesionflow or of a library and keeps its traceback.
"""


class LesionflowError(Exception):
    """What the user can mend. The message is one line: which file or key, what was expected, what to do."""


class ConfigError(LesionflowError):
    """A config that cannot be run: the key, the value and what is allowed."""


class CardError(LesionflowError):
    """A model card that cannot be used: the card, the key, the value and what is allowed."""


class CohortError(LesionflowError):
    """A cohort that cannot be listed."""


class WeightsError(LesionflowError):
    """Weights that are missing, or not those of the card: the file, what was expected, what was found."""


class ScanError(LesionflowError):
    """A scan that cannot be used as it is.

    Parameters
    ----------
    reason
        The message.
    status
        What the cohort table calls it (``results.columns.STATUS``).
    """

    def __init__(self, reason: str, status: str = "unreadable"):
        super().__init__(reason)
        self.status = status

    def __reduce__(self):
        """Keep the status where the error comes from another process."""
        return type(self), (str(self), self.status)
