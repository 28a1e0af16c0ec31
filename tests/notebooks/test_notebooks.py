"""Every notebook runs from its first cell to its last, in a kernel of its own."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.fixture
def execute(tmp_path, monkeypatch):
    for variable in ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR", "TMPDIR"):
        folder = tmp_path / variable.lower()
        folder.mkdir()
        monkeypatch.setenv(variable, str(folder))

    def run(notebook):
        NotebookClient(
            notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
        ).execute()

    return run


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_what_it_asserts_holds(execute, path):
    execute(nbformat.read(path, as_version=4))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]

    assert cells
    assert not any(cell.outputs or cell.execution_count for cell in cells)


@pytest.mark.full
def test_the_reranker_gains_nothing_from_readers_who_choose_at_random(execute):
    notebook = nbformat.read(FOLDER / "reranker.ipynb", as_version=4)
    [cell] = [cell for cell in notebook.cells if "0.85, 0.9, 0.03" in cell.source]
    cell.source = cell.source.replace("0.85, 0.9, 0.03", "1.0, 0.2, 0.2")

    with pytest.raises(CellExecutionError, match="gains"):
        execute(notebook)
