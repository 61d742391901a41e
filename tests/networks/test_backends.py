"""Setup of TensorFlow and OpenVINO."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lesionflow.networks.inference import backends
from lesionflow.networks.inference.backends import narrow_instructions, nvidia_device
from support import SCRIPTS

ISA = "ONEDNN_MAX_CPU_ISA"
ZEN_4 = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\n"
ZEN_5 = ZEN_4.replace("25", "26")
INTEL = "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\n"


@pytest.mark.parametrize(
    ("cpu", "said", "then"),
    [
        (ZEN_4, None, "AVX2"),
        (ZEN_4, "AVX512_CORE", "AVX512_CORE"),
        (ZEN_5, None, None),
        (INTEL, None, None),
        (None, None, None),
    ],
)
def test_256_bit_instructions_on_zen_4_only_and_unless_set_in_the_environment(
    tmp_path, monkeypatch, cpu, said, then
):
    about = tmp_path / "cpuinfo"
    if cpu is not None:
        about.write_text(cpu)
    monkeypatch.setenv(ISA, "to be put back")
    monkeypatch.delenv(ISA)
    if said:
        monkeypatch.setenv(ISA, said)
    narrow_instructions(about)
    assert os.environ.get(ISA) == then


def test_the_driver_of_wsl_is_an_nvidia_device(tmp_path, monkeypatch):
    """WSL2 has no /dev/nvidia0."""
    monkeypatch.setattr(backends, "WSL_DRIVER", tmp_path / "libcuda.so.1")
    before = nvidia_device()
    (tmp_path / "libcuda.so.1").touch()
    assert nvidia_device()
    assert before == any(Path("/dev").glob("nvidia[0-9]*"))


@pytest.mark.slow
def test_tensorflow_leaves_no_python_files_in_the_folder_for_temporary_files(tmp_path):
    """Its autograph writes a Python file for each function, and Python the bytecode."""
    code = (
        f"import os, signal, sys; sys.path.append({str(SCRIPTS)!r})\n"
        "from lesionflow.networks.inference.backends import tensorflow\n"
        "tf = tensorflow(1)\n"
        "@tf.function\n"
        "def double(x):\n"
        "    return 2 * x if x > 0 else x\n"
        "exec(sys.argv[1])\n"
    )
    (tmp_path / "double.py").write_text(code)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def files_after(last):
        command = [sys.executable, tmp_path / "double.py", last]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return ran.stdout, {path.name for path in temporary.rglob("*") if path.is_file()}

    compute = "assert double(tf.constant(1.0)) == 2"
    assert files_after(compute) == ("", set())
    kill = f"{compute}; print('computed', flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    said, left = files_after(kill)
    assert said == "computed\n"
    assert {name[:16] for name in left} == {"__autograph_gene"}
    assert [path.name[:11] for path in temporary.iterdir()] == ["lesionflow-"]
    assert files_after(compute) == ("", set())  # the next process removes them
