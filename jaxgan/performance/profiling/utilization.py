"""The share of a device's published peak that a run makes use of."""

import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax

from jaxgan.performance.profiling.flops import traced_flops

TERA = 1e12


class GPU(NamedTuple):
    """Published peaks of a GPU in FLOP/s of dense products; 0 if it has no such."""

    bfloat16: float
    """Accumulated in float32, without sparsity."""
    tf32: float
    float32: float


A100 = GPU(312 * TERA, 156 * TERA, 19.5 * TERA)
H100 = GPU(989.4 * TERA, 494.7 * TERA, 66.9 * TERA)
GPUS = {
    r"A100-(SXM4?|PCIE)-\d+GB|A100 80GB PCIe": A100,
    "H100 PCIe": GPU(756 * TERA, 378 * TERA, 51.2 * TERA),
    "H100 NVL": GPU(835 * TERA, 417 * TERA, 60 * TERA),
    "H100 80GB HBM3": H100,  # SXM
    "H200 NVL": GPU(835 * TERA, 417 * TERA, 60 * TERA),
    "H200": H100,
    r"GH200 \d+GB": H100,
    "L40S": GPU(362 * TERA, 183 * TERA, 91.6 * TERA),
    "L4": GPU(121 * TERA, 60 * TERA, 30.3 * TERA),
    "A10": GPU(125 * TERA, 62.5 * TERA, 31.2 * TERA),
    "T4": GPU(0, 0, 8.1 * TERA),
    r"V100-SXM[23]-\d+GB": GPU(0, 0, 15.7 * TERA),
    r"V100-PCIE-\d+GB": GPU(0, 0, 14 * TERA),
    "RTX 4090": GPU(165.2 * TERA, 82.6 * TERA, 82.6 * TERA),
    "RTX 3090": GPU(71 * TERA, 35.6 * TERA, 35.6 * TERA),
    "RTX A6000": GPU(154.8 * TERA, 77.4 * TERA, 38.7 * TERA),
}
"""GPUs by a regular expression of JAX's `device_kind` without the makers' names.

Other variants, such as those of laptops and parts of a GPU (MIG), have other peaks.
Sources: NVIDIA's data sheets of A100 (2022), H100 and H200 (2024), L40S, L4, A10, T4
and V100 (2020), and the white papers of Ada (RTX 4090) and GA102 (RTX 3090, A6000).
Figures "with sparsity" are halved. The tensor cores of T4 and V100 have neither
bfloat16 nor TF32, so that XLA computes in float32 there.
"""

TPUS = {
    "TPU v2": 22.5 * TERA,
    "TPU v3": 61.5 * TERA,
    "TPU v4": 275 * TERA,
    "TPU v5 lite": 197 * TERA,
    "TPU v5": 459 * TERA,
    "TPU v6 lite": 918 * TERA,
    "TPU7x": 2307 / 2 * TERA,
}
"""FLOP/s of bfloat16 products of a JAX device, by its `device_kind`.

As in `performance/planning/chips.py`, whose chips they are. Two devices share a chip of
v2, v3 and TPU7x. Float32 products take one bfloat16 pass too, unless JAX's matmul
precision says otherwise.
"""

HIGHEST = ("highest", "float32")
"""Values of `jax_default_matmul_precision` that rule out TF32 and bfloat16."""


class Peak(NamedTuple):
    """The published peak of a device."""

    device: str
    flops: float
    """Per second."""
    arithmetic: str
    """Of the products: bfloat16, TF32 or float32."""


def peak_of(
    device: Any,
    *,
    mixed: bool,
    precision: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Peak | None:
    """Returns the peak of a device, None if none is published that fits the run.

    Args:
      device: a JAX device.
      mixed: True if the networks compute in bfloat16, False for float32.
      precision: `jax.config.jax_default_matmul_precision`.
      environment: environment variables; NVIDIA_TF32_OVERRIDE=0 turns TF32 off.
    """
    kind, exact = device.device_kind, precision in HIGHEST
    if device.platform == "tpu" and kind in TPUS and (mixed or not exact):
        return Peak(kind, TPUS[kind], "bfloat16")
    name = re.sub(r"^(NVIDIA |Tesla |GeForce )+", "", kind)
    fits = [gpu for pattern, gpu in GPUS.items() if re.fullmatch(pattern, name)]
    if device.platform not in ("gpu", "cuda") or not fits:
        return None
    found = fits[0]
    if mixed and found.bfloat16:
        return Peak(kind, found.bfloat16, "bfloat16")
    off = exact or environment.get("NVIDIA_TF32_OVERRIDE") == "0"
    if found.tf32 and not (mixed or off):
        return Peak(kind, found.tf32, "TF32")
    return Peak(kind, found.float32, "float32")


class Utilization(NamedTuple):
    """The FLOPs of a step, and the peak of the device that they run on."""

    flops: float
    """Per step and device; 0 if unknown."""
    peak: Peak | None

    def row(self, seconds: float) -> dict[str, float]:
        """Returns the metrics of steps that took `seconds` each."""
        if not self.flops or seconds <= 0:
            return {}
        rate = self.flops / seconds
        row = {"performance/flops_per_second": rate}
        if self.peak:
            row["performance/mfu"] = rate / self.peak.flops
        return row

    def describe(self, seconds: float) -> str:
        """Returns the utilization at a time per step in words, "" if unknown.

        >>> peak = Peak("NVIDIA H100 80GB HBM3", 494.7e12, "TF32")
        >>> Utilization(5e12, peak).describe(0.05)
        '5 TFLOP per step and device, 100 TFLOP/s: MFU 20.2 % of 495 TFLOP/s \
(TF32, NVIDIA H100 80GB HBM3)'
        >>> Utilization(3.63e9, None).describe(0.04)
        '3.63 GFLOP per step and device, 90.8 GFLOP/s (no published peak of this one)'
        """
        row = self.row(seconds)
        if not row:
            return ""
        speed = scaled(row["performance/flops_per_second"], "FLOP/s")
        text = f"{scaled(self.flops, 'FLOP')} per step and device, {speed}"
        if self.peak is None:
            return f"{text} (no published peak of this one)"
        share = f"{100 * row['performance/mfu']:.1f} %"
        peak = scaled(self.peak.flops, "FLOP/s")
        kind = f"({self.peak.arithmetic}, {self.peak.device})"
        return f"{text}: MFU {share} of {peak} {kind}"


def scaled(value: float, unit: str) -> str:
    """Formats a number with three digits and a metric prefix.

    >>> scaled(9.08e10, "FLOP/s"), scaled(1.2e16, "FLOP"), scaled(512, "FLOP")
    ('90.8 GFLOP/s', '12000 TFLOP', '512 FLOP')
    """
    for prefix in ("", "k", "M", "G"):
        if value < 999.5:
            return f"{value:.3g} {prefix}{unit}"
        value /= 1000
    return f"{value:.0f} T{unit}" if value >= 100 else f"{value:.3g} T{unit}"


def step_flops(jaxpr: Any, program: Any, steps: int) -> float:
    """Returns the FLOPs of one step on one device, 0 if unknown.

    Args:
      jaxpr: the traced program, None if it cannot be had (`pmap`).
      program: the compiled program. Its compiler counts loops once, which is one step
        of many, and on a GPU no product of a library.
      steps: in one call.
    """
    if jaxpr is not None:
        return traced_flops(jaxpr) / steps
    cost = program.cost_analysis() or {}
    if jax.default_backend() in ("gpu", "cuda"):
        return 0.0
    return float(cost.get("flops", 0.0))
