import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ragstone.contracts.tables import BRONZE_DOCUMENTS
from ragstone.runtime.errors import DependencyUnavailableError
from ragstone.runtime.settings import load_settings
from spark_jobs.cluster import standalone_cluster
from tests.business_rows import business_rows, silver_tables
from tests.promises.company import found

pytestmark = [pytest.mark.spark, pytest.mark.full]
SCRIPT = Path(sys.executable).parent / "ragstone"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(home, *arguments):
    done = subprocess.run([SCRIPT, "--home", home, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_a_cluster_writes_the_same_rows_as_this_machine_alone(tmp_path):
    company = found(tmp_path / "local", tmp_path / "files")
    company.settings.home.mkdir()
    conf = f"sources: {{handbook: {{root: '{company.folder}/handbook'}}}}\n"
    (company.settings.home / "conf.yaml").write_text(conf)
    run(company.settings.home, "run", "--to", "embed")

    # The same landing zone, so that even the times at which Ragstone learned of each document agree.
    home = tmp_path / "clustered"
    shutil.copytree(company.settings.landing_root, home / "landing")
    with standalone_cluster(company.settings, tmp_path / "cluster", free_port(), free_port()) as master:
        (home / "conf.yaml").write_text(f"{conf}spark: {{master: '{master}', executor_memory: 1g}}\n")
        run(home, "run", "--to", "embed")
        executors = list((tmp_path / "cluster/work").glob("app-*/*/stderr"))

    clustered = load_settings(home=home)
    assert len(executors) >= 2
    # The code came with the job, though this machine has it installed too.
    assert all("ragstone.zip" in log.read_text() for log in executors)
    for spec in (BRONZE_DOCUMENTS, *silver_tables(clustered)):
        ours = business_rows(clustered.lake_root, spec)
        assert ours == business_rows(company.settings.lake_root, spec), spec.name
        assert ours


def test_a_port_that_is_taken_is_told_of(settings, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        cluster = standalone_cluster(settings, tmp_path / "cluster", taken.getsockname()[1], free_port())
        with pytest.raises(DependencyUnavailableError) as refused:
            cluster.__enter__()
    assert str(tmp_path / "cluster") in refused.value.next_step
    assert "BindException" in (tmp_path / "cluster/master.log").read_text()
