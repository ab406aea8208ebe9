"""The image that Astro builds of this repository, as far as a machine can: `make image`, then a look inside.

Where the registry of the Astro runtime cannot be reached, a stand-in of its base takes its place.
"""

import re
import shutil
import subprocess

import pytest

from local.environment import PROJECT

pytestmark = pytest.mark.timeout(1200)

# What must never be in an image, laid where a checkout has it.
STRAY = [
    ".env.image-test",
    "stray_key.pem",
    "dags/__pycache__/stray.pyc",
    "include/twitter/__pycache__/stray.pyc",
]


def image(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [PROJECT / "local/image/image.sh", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def inside(*command: str) -> str:
    """What a command says in the image."""
    done = image("run", *command)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def made() -> str:
    """What `make image` says, built with stray files in the checkout."""
    if image("builder").returncode:
        pytest.skip("no container builder is at hand: neither a running Docker, nor buildah or podman")
    for name in STRAY:
        (PROJECT / name).parent.mkdir(exist_ok=True)
        (PROJECT / name).write_text("not for an image\n")
    try:
        done = subprocess.run(
            ["make", "--no-print-directory", "image"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=1100,
        )
    finally:
        for name in STRAY:
            (PROJECT / name).unlink()
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_make_image_lists_the_dag_inside_it_and_nothing_that_cannot_be_imported(made):
    files = sorted(file.name for file in (PROJECT / "dags").glob("*_dag.py"))
    *listed, errors = made.strip().splitlines()
    heading, *dags = listed[-1 - len(files) :]
    assert heading.split() == ["dag_id", "fileloc", "owners", "is_paused", "bundle_name", "bundle_version"]
    assert sorted(dag.split()[:2] for dag in dags) == sorted(
        [name.removesuffix("_dag.py"), f"/usr/local/airflow/dags/{name}"] for name in files
    )
    assert errors == "No data found"


@pytest.mark.usefixtures("made")
def test_the_image_holds_what_runs_and_nothing_else():
    files = set(inside("find", ".", "-type", "f").split())
    assert {name.split("/")[1] for name in files} <= {
        "dags",
        "include",
        "plugins",
        "packages.txt",
        "requirements.txt",
    }
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "dags", "include"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert {f"./{name}" for name in tracked} == {name for name in files if name.startswith(("./d", "./i"))}


@pytest.mark.usefixtures("made")
def test_the_image_has_the_pins_of_requirements_txt_and_they_fit_together():
    installed = {line.lower() for line in inside("pip", "freeze").split("\n")}
    pins = re.findall(r"^\S+==\S+", (PROJECT / "requirements.txt").read_text(), re.MULTILINE)
    assert set(pins) <= installed
    assert inside("pip", "check") == "No broken requirements found.\n"


@pytest.mark.usefixtures("made")
def test_the_image_has_the_python_and_the_airflow_that_the_dockerfile_names():
    tag = re.search(
        r"^FROM \S+:(\d+\.\d+)-\d+-python-(\S+)$", (PROJECT / "Dockerfile").read_text(), re.MULTILINE
    )
    assert inside("airflow", "version").startswith(f"{tag[1]}.")
    assert inside("python", "--version").startswith(f"Python {tag[2]}.")


@pytest.mark.usefixtures("made")
def test_the_image_runs_as_the_runtimes_own_user_and_imports_the_library_from_anywhere():
    assert inside("id", "-un") == "astro\n"
    library = inside("sh", "-c", "cd / && python -c 'import include.twitter.extract as s; print(s.__file__)'")
    assert library == "/usr/local/airflow/include/twitter/extract/__init__.py\n"


@pytest.mark.usefixtures("made")
def test_nothing_of_the_machine_that_built_it_stays_in_the_image():
    assert not re.search(r"^PIP_|^\w*_PROXY=|^SSL_CERT", inside("env"), re.MULTILINE | re.IGNORECASE)
    assert inside("sh", "-c", "ls /etc/pip.conf ~/.config ~/.cache 2>/dev/null; true") == ""


def test_without_a_builder_make_image_says_what_it_needs(tmp_path):
    for tool in ("bash", "dirname", "sed", "mkdir", "cat"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    done = subprocess.run(
        [PROJECT / "local/image/image.sh", "build"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "An image needs a container builder: a running Docker, buildah or podman. None was found.\n"
    )
