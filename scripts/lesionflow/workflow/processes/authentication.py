"""Jobs and servers prove to each other that they belong to the same run, before either reads anything else.

They know a secret of the run from their environment, which other users cannot read. This takes the place of asking
for the user at the other end of a socket, for which each operating system has another call.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge

from lesionflow.workflow.processes.sockets import SECRET, SharedProcessError, wait_for


def authenticate_client(client: socket.socket) -> None:
    """Check, in a server, that a client belongs to the run, and prove it to the client.

    Raises
    ------
    SharedProcessError
        If it does not.
    """
    with Connection(os.dup(client.fileno())) as connection, _secret() as secret:
        deliver_challenge(connection, secret)
        answer_challenge(connection, secret)


def authenticate_server(connection: Connection) -> None:
    """Check that the server at the other end belongs to the run, and prove it to the server.

    Raises
    ------
    SharedProcessError
        If it does not.
    TimeoutError
        If it does not answer within ``sockets.HEARTBEAT_TIMEOUT_S`` seconds.
    """
    with _secret() as secret:
        wait_for(connection)
        answer_challenge(connection, secret)
        deliver_challenge(connection, secret)


@contextmanager
def _secret() -> Iterator[bytes]:
    """The secret of the run; what fails with it is a SharedProcessError."""
    try:
        if not (secret := os.environ.get(SECRET)):
            raise AuthenticationError("this process has no secret")
        yield secret.encode()
    except (AuthenticationError, ValueError) as error:  # ValueError: the system forbids the digest
        raise SharedProcessError(f"a process at the socket is not of this run ({error})") from error
