"""Workdirs of version 0.1.0 resume and sample as that version did."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
from earlier_workdirs import (
    CASES,
    flags_of,
    read_ema,
    sampling_flags,
    write_pictures,
)

from jaxgan import sample, train

FOLDER = Path(__file__).parent / "workdirs-0.1.0"


@pytest.mark.parametrize("case", CASES)
def test_it_samples_and_resumes_as_version_0_1_0_did(case, tmp_path):
    """Equal in every bit on the CPU that made them; others round differently.

    Adam turns the rounding of small gradients into parts of a step, which is 2e-3 here.
    """
    with tarfile.open(FOLDER / f"{case}.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    workdir, data = tmp_path / case, tmp_path / "data.npz"
    write_pictures(data)
    expected = np.load(workdir / "expected.npz")
    (workdir / "expected.npz").rename(tmp_path / "expected.npz")
    out = tmp_path / "samples.npz"
    assert sample.main(sampling_flags(workdir, out)) == 0
    samples = np.load(out)["samples"].astype(int)
    assert np.abs(samples - expected["samples"].astype(int)).max() <= 1
    # the file is at another place than it was, with the same examples
    flags = [*flags_of(case, data, workdir, 8), "--data_changed=accept"]
    assert train.main(flags) == 0
    ema = read_ema(workdir, 8)
    assert {f"ema/{name}" for name in ema} == set(expected) - {"samples"}
    for name, value in ema.items():
        want = expected[f"ema/{name}"]
        got = np.asarray(value)
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=3e-4, err_msg=name)
