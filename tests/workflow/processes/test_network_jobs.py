"""Jobs in threads of a server that keeps networks loaded."""

import os
import re
import signal
import threading

import pytest
from snakemake.iocontainers import ResourceList

from lesionflow.workflow.processes import script_hook, sockets
from lesionflow.workflow.processes.script_hook import gpu_of_slot, shared_threads
from support.processes import ended, text_of
from support.shared_jobs import client, run_job

TEST_PID = os.getpid()


def run_network_job(path, *action, **changes):
    return run_job(path, *action, network=True, **changes)


def test_jobs_of_a_run_share_a_process_that_ends_with_the_run(run, tmp_path):
    log = tmp_path / "a.log"
    outcome, first, count = run_network_job(tmp_path / "a", log=[log])
    second = run_network_job(tmp_path / "b")
    assert (outcome, count) == ("done", 1)
    assert second == ("done", first, 2)
    assert first != TEST_PID
    assert "asked to work" in log.read_text()
    assert log.read_text().endswith("DONE\n")
    run.kill()
    run.wait()
    assert ended(first)


def test_two_simultaneous_jobs_share_a_server_and_a_third_gets_another(run, tmp_path):
    jobs = {}

    def start_job(name):
        jobs[name] = run_network_job(tmp_path / name, "work", 2)

    threads = [threading.Thread(target=start_job, args=(name,)) for name in "abc"]
    with pytest.MonkeyPatch.context() as patch:  # once for all threads
        patch.setattr(script_hook, "NETWORK_STEPS", ("shared_step",))
        for thread in threads:
            thread.start()
            text_of(tmp_path / "abc"[threads.index(thread)])  # waits until the job runs
        for thread in threads:
            thread.join()
    assert {outcome for outcome, *_ in jobs.values()} == {"done"}
    servers = [pid for _, pid, _ in jobs.values()]
    assert len(set(servers)) == 2
    assert TEST_PID not in servers
    assert run_network_job(tmp_path / "d")[1] in servers


def test_simultaneous_jobs_write_separate_logs(run, tmp_path):
    jobs = {
        action: client(
            tmp_path / action,
            tmp_path,
            action=action,
            seconds=2,
            network=True,
            log=[f"{tmp_path}/{action}.log"],
        )
        for action in ("sing", "dance")
    }
    assert [job.wait() for job in jobs.values()] == [0, 0]
    assert len({(tmp_path / action).read_text().split()[0] for action in jobs}) == 1
    for action in jobs:
        assert re.findall("asked to (.*)", (tmp_path / f"{action}.log").read_text()) == [action]


def test_a_network_gets_the_threads_of_all_jobs_that_share_it(run, tmp_path, monkeypatch):
    monkeypatch.setattr(script_hook, "available_cpu_count", lambda: 8)
    assert shared_threads(2) == 4
    assert shared_threads(6) == 8  # no more than a cluster job has
    assert run_network_job(tmp_path / "a", "threads", threads=2)[0] == "done"
    assert (tmp_path / "a.done").read_text() == "4"


@pytest.mark.parametrize(
    ("action", "message"), [("die", "died"), ("run out of memory", "MemoryError: not enough")]
)
def test_a_job_whose_server_breaks_is_run_in_its_own_process(run, tmp_path, capfd, action, message):
    server = run_network_job(tmp_path / "a")[1]
    assert run_network_job(tmp_path / "b", action)[0] == "own process"
    error = capfd.readouterr().err
    assert message in error
    assert "this job runs in a process of its own" in error
    assert ended(server)
    assert run_network_job(tmp_path / "c")[1] not in (server, TEST_PID)


def test_a_server_without_heartbeat_is_stopped(run, tmp_path, capfd, monkeypatch):
    server = run_network_job(tmp_path / "a")[1]
    monkeypatch.setattr(sockets, "HEARTBEAT_TIMEOUT_S", 5)
    assert run_network_job(tmp_path / "b", "stop")[0] == "own process"
    assert "sent nothing for 5 s" in capfd.readouterr().err
    assert ended(server)


def test_a_server_that_was_stopped_between_two_jobs_is_replaced(run, tmp_path, capfd, monkeypatch):
    server = run_network_job(tmp_path / "a")[1]
    os.kill(server, signal.SIGSTOP)
    monkeypatch.setattr(sockets, "HEARTBEAT_TIMEOUT_S", 5)
    assert run_network_job(tmp_path / "b")[0] == "own process"
    assert "sent nothing for 5 s" in capfd.readouterr().err
    assert ended(server)
    assert run_network_job(tmp_path / "c")[1] not in (server, TEST_PID)


def test_a_job_that_takes_too_long_is_stopped(run, tmp_path, capfd):
    runtime = ResourceList(fromdict={"runtime": 0.1})
    assert run_network_job(tmp_path / "a", "work", 8, resources=runtime)[0] == "own process"
    assert "took longer than 3 s" in capfd.readouterr().err


def test_the_first_job_uses_a_server_that_was_started_before(run, tmp_path, monkeypatch):
    monkeypatch.setattr(script_hook, "NETWORK_STEPS", ("shared_step",))
    script_hook.start_servers(["shared_step"])
    sockets_before = {p.name: p.stat().st_ino for p in tmp_path.glob("lesionflow-*/*.sock")}
    assert len(sockets_before) == 2  # of forks and of this step
    assert run_network_job(tmp_path / "a")[2] == 1
    assert {p.name: p.stat().st_ino for p in tmp_path.glob("lesionflow-*/*.sock")} == sockets_before


def test_the_first_snakemake_of_a_cluster_job_starts_the_servers_of_its_steps(
    run, tmp_path, monkeypatch
):
    monkeypatch.setattr(script_hook, "NETWORK_STEPS", ("shared_step", "other_step"))
    monkeypatch.setenv(sockets.RUN, "")  # no Snakemake above this one
    monkeypatch.setenv(sockets.CLUSTER_JOB, "")
    script_hook.enter_run({"shared_step": "1"}, {"shared_step"})
    assert os.environ[sockets.RUN] == str(TEST_PID)
    assert len(list(tmp_path.glob("lesionflow-*/*.sock"))) == 2  # of forks and of the one step
    for path in tmp_path.glob("lesionflow-*/*.sock"):
        client_socket, pid = sockets.connect(path)
        client_socket.close()
        sockets.stop(pid, path)


def test_a_failed_job_is_not_run_again_and_its_server_continues(run, tmp_path):
    assert run_network_job(tmp_path / "a", "refuse")[0] == "failed"
    assert run_network_job(tmp_path / "b")[2] == 2


def test_a_server_ends_when_the_snakemake_of_its_job_has_ended(run, tmp_path):
    job = client(tmp_path / "a", tmp_path, seconds=30, network=True)
    server = int(text_of(tmp_path / "a").split()[0])
    job.kill()
    job.wait()
    assert ended(server)
    assert not (tmp_path / "a.done").exists()


def test_an_idle_server_ends(run, tmp_path, monkeypatch):
    monkeypatch.setenv("LESIONFLOW_WORKER_IDLE_S", "1")
    assert ended(run_network_job(tmp_path / "a")[1])
    assert run_network_job(tmp_path / "b")[0] == "done"


def test_simultaneous_servers_use_the_gpus_in_turn():
    environment = {"CUDA_VISIBLE_DEVICES": "3,5"}
    names = [gpu_of_slot(slot, environment).get("CUDA_VISIBLE_DEVICES") for slot in range(3)]
    assert names == ["3", "5", "3"]
    assert gpu_of_slot(0, {"CUDA_VISIBLE_DEVICES": "3"}) == {}
    assert gpu_of_slot(0, {"CUDA_VISIBLE_DEVICES": ""}) == {}
