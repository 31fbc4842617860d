"""The lectures' notebooks run, and show what they say; needs the extras `train` and
`bench`.
"""

import json
import re

import pytest

REASON = "the notebooks need `pip install aecodec[train,bench]`, Python 3.11 or 3.12"
pytest.importorskip("tensorflow", reason=REASON)
pytest.importorskip("keras", reason=REASON)
pytest.importorskip("matplotlib", reason=REASON)

import nbformat  # noqa: E402

from benchmarks.notebooks.execute import FOLDER, NOTEBOOKS, execute  # noqa: E402

SIZE_MAX_BYTES = 200_000


def values(name: str, *variables: str) -> list[float]:
    """Variables of a notebook after all of its cells."""
    notebook = nbformat.read(FOLDER / name, as_version=4)
    code = f"import json; print(json.dumps([*map(float, [{', '.join(variables)}])]))"
    notebook.cells.append(nbformat.v4.new_code_cell(code))
    execute(notebook)
    return json.loads(notebook.cells[-1].outputs[0].text)


def test_the_basic_autoencoder_takes_an_eighth_of_its_bytes_when_coded():
    psnr, coded_psnr, float_bytes, entropy, coded = values(
        "basic_autoencoder.ipynb",
        "float_psnr",
        "coded_psnr",
        "latents[0].nbytes",
        "coded_entropy",
        "coded_size",
    )
    assert psnr > 15.5
    assert psnr - 0.5 < coded_psnr < psnr
    assert coded < float_bytes / 8
    assert coded == pytest.approx(entropy, rel=0.05)  # of other pictures


def test_the_denoising_autoencoder_removes_noise_that_costs_the_codec_bits():
    noisy, denoised, coded_psnr, float_bytes, ideal, coded, *codec_sizes = values(
        "denoising_autoencoder.ipynb",
        "noisy_psnr",
        "denoised_psnr",
        "coded_psnr",
        "latents[0].nbytes",
        "ideal_size",
        "coded_size",
        "*codec_size.values()",
    )
    assert denoised > noisy + 4
    assert denoised - 1 < coded_psnr < denoised
    assert coded < float_bytes / 10
    assert ideal < coded < 1.01 * ideal
    of_original, of_noisy, of_denoised = codec_sizes
    assert of_denoised < of_original < 0.8 * of_noisy


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_is_stored_with_outputs_that_are_clean(file):
    assert file.stat().st_size < SIZE_MAX_BYTES
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
    outputs = [output for cell in cells for output in cell.outputs]
    assert {output.output_type for output in outputs} == {"stream", "display_data"}
    for output in outputs:
        text = output.text if "text" in output else output.data["text/plain"]
        assert output.get("name") != "stderr", text
        assert not re.search(r"(^|[\s'\"])(/|[A-Z]:\\)\w", text), text
    assert not any(cell.metadata for cell in cells)  # among it would be timestamps
