"""Jobs and servers of one run alone talk to each other."""

import os
import socket
import threading
from contextlib import suppress
from multiprocessing.connection import Connection

import pytest

from lesionflow.workflow.processes import sockets
from lesionflow.workflow.processes.authentication import authenticate_client, authenticate_server
from lesionflow.workflow.processes.sockets import SECRET, SharedProcessError
from support.shared_jobs import run_job


@pytest.mark.parametrize("network", [False, True])
def test_a_client_of_another_run_has_no_job_run_and_the_server_continues(
    run, tmp_path, monkeypatch, network
):
    first = run_job(tmp_path / "a", network=network)
    (address,) = tmp_path.glob("lesionflow-*/*.sock")
    monkeypatch.setenv(SECRET, "guessed")
    with (
        sockets.connect(address)[0] as client,
        Connection(os.dup(client.fileno())) as connection,
        pytest.raises(SharedProcessError, match="not of this run"),
    ):
        authenticate_server(connection)
    with sockets.connect(address)[0]:
        pass  # and one that says nothing
    monkeypatch.setenv(SECRET, "of this test")
    again = run_job(tmp_path / "b", network=network)
    assert (first[0], again[0]) == ("done", "done")
    assert [path.name for path in tmp_path.glob("lesionflow-*/*.sock")] == [address.name]


@pytest.mark.parametrize("network", [False, True])
def test_a_job_sends_nothing_to_a_server_that_does_not_know_the_secret(
    run, tmp_path, monkeypatch, capfd, network
):
    """The other end is at the right place, as if somebody had exchanged the folder, and sends a harmful pickle."""
    received = []

    def serve(listener):
        client, _ = listener.accept()
        with client, Connection(os.dup(client.fileno())) as connection, suppress(EOFError):
            connection.send_bytes(b"#CHALLENGE#" + b"0" * 20)
            received.append(connection.recv_bytes())  # a digest, which proves nothing of the secret
            connection.send_bytes(b"#WELCOME#")
            received.append(connection.recv_bytes())  # the challenge of the client
            connection.send_bytes(b"0" * 16)
            received.append(connection.recv_bytes())  # that it has failed
            received.append(connection.recv_bytes())

    def stand_in(address, *_, **__):
        with suppress(FileNotFoundError):
            return sockets.connect(address)
        listener = sockets.listen(address)
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        return sockets.connect(address)

    monkeypatch.setattr(sockets, "connect_or_start", stand_in)
    assert run_job(tmp_path / "a", network=network) == ("own process",)
    assert "not of this run" in capfd.readouterr().err
    assert [message[:11] for message in received[1:]] == [b"#CHALLENGE#", b"#FAILURE#"]


@pytest.mark.parametrize("secret", ["", None])
@pytest.mark.parametrize("authenticate", [authenticate_client, authenticate_server])
def test_two_processes_without_a_secret_refuse_each_other(monkeypatch, secret, authenticate):
    monkeypatch.setenv(SECRET, "")
    if secret is None:
        monkeypatch.delenv(SECRET)
    left, right = socket.socketpair()
    end = left if authenticate is authenticate_client else Connection(os.dup(left.fileno()))
    with left, right:
        right.sendall(b"nothing that a server or a client says")
        with pytest.raises(SharedProcessError, match="no secret"):
            authenticate(end)


def test_a_run_keeps_its_secret_and_another_run_has_another(monkeypatch):
    """Also if its Snakefile is read again, as by another workflow that includes it twice."""
    secrets = []
    for before in ("", "", None):
        for name in (sockets.RUN, sockets.CLUSTER_JOB, sockets.CODE):
            monkeypatch.setenv(name, "")
        if before is not None:
            monkeypatch.setenv(SECRET, before)
        sockets.enter_run({})
        secrets.append(os.environ[SECRET])
    assert secrets[0] != secrets[1] == secrets[2]
    assert len(secrets[0]) == 64
