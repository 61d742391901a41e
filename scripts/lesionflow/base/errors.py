"""Errors that the user can mend."""


class WeightsError(ValueError):
    """Weights that are missing or not the right ones, in one line: the file, expected, found."""


class ScanError(ValueError):
    """A scan that cannot be used as it is; ``status`` is what the cohort table calls it."""

    def __init__(self, reason: str, status: str = "unreadable"):
        super().__init__(reason)
        self.status = status


class CohortError(ValueError):
    """A cohort that cannot be listed, in one line."""


class CardError(ValueError):
    """A card that cannot be used, in one line: the card, the key, the value and what is allowed."""


class ConfigError(ValueError):
    """A config that cannot be run, in one line: the key, the value and what is allowed."""


class WorkerLost(Exception):
    """The process did not do the work; the work itself may be well."""
