"""How long something still takes, in words."""


def in_words(seconds: float) -> str:
    """A duration as a person would say it: ``5 s``, ``2 min``, ``3 h 10 min``, ``2 days 4 h``.

    Parameters
    ----------
    seconds
        The duration; a negative one counts as 0. From 90 seconds on it is rounded to minutes, from a day on to hours.
    """
    whole = max(0, round(seconds))
    if whole < 90:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(whole / 3600), 24)
    name = "1 day" if days == 1 else f"{days} days"
    return f"{name} {hours} h" if hours else name
