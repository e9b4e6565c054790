"""The two ways a program of ours ends early, each with one line to the user."""


class UsageError(ValueError):
    """What the user asked for cannot be done; the message says what can.

    Programs print the message on one line and exit with code 2.
    """


class TrainingError(RuntimeError):
    """A run that cannot go on, such as one with NaN in a loss.

    Programs print the message on one line and exit with code 1.
    """
