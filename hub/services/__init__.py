"""What the hub runs on when it runs on one machine: PostgreSQL, Redis, and a supervisor for its own processes.

Nothing here knows what the hub does. `supervisor.Stack` is the whole: it may be used as a library.
"""

from hub.settings import OperatorError


class ServiceError(OperatorError):
    """A service could not be started or reached."""
