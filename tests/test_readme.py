"""The README: what it shows runs as printed."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_examples_run_in_their_order(capsys):
    shared = {}
    for block in re.findall(r"```python\n(.*?)```", README, re.S):
        exec(block, shared)
    lines = capsys.readouterr().out.splitlines()
    status, loss = lines[0].split()
    assert status == "converged"
    assert 0.05 < float(loss) < 0.12
    objectives = {line.split()[0]: float(line.split()[1]) for line in lines[1:]}
    assert next(iter(objectives)) == "auto"
    assert min(objectives, key=objectives.get) == "auto"


@pytest.mark.parametrize("command", ["pytest", "quickstart"])
def test_the_two_commands_are_there_for_ci(command):
    assert len(re.findall(rf"^pip install .*{command}", README, re.M)) == 1
