"""Setup of TensorFlow and OpenVINO."""

import os

import pytest

from lesionflow.networks.inference.backends import narrow_instructions

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
