"""The plugin, as each component of Airflow imports it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

IMPORTED = """
import sys
from airflow import plugins_manager
before = set(sys.modules)
sys.path.insert(0, "plugins")
import twitter_days
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))
"""


def test_importing_it_imports_nothing_else():
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[-2] == "twitter_days"
