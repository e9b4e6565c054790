"""--profile: the trace, and the table that is read from it."""

import gzip
import json
import logging
import re
import warnings

import jax
import jax.numpy as jnp
import pytest
from jax.profiler import ProfileData
from slow import slow
from test_train import TINY

from jaxgan import train
from jaxgan.config.resolve import parse_args
from jaxgan.config.training import Config
from jaxgan.errors import UsageError
from jaxgan.performance import profiling
from jaxgan.performance.profiling.events import Event, read
from jaxgan.performance.profiling.phases import PHASES
from jaxgan.performance.profiling.sources import around, origins
from jaxgan.performance.profiling.table import summed


def run(pictures, workdir, **other):
    given = {
        **TINY,
        "held_out": "none",
        **other,
        "dataset": f"npz:{pictures}",
        "workdir": workdir,
    }
    return train.main([f"--{name}={value}" for name, value in given.items()])


def told(caplog):
    """The head of the table, and its rows as (share, ms, operation and origin)."""
    texts = [record.getMessage() for record in caplog.records]
    [head] = [text for text in texts if re.match(r"profile: \d+ call", text)]
    rows = [re.match(r" +([\d.]+)% +([\d.,]+) +(\S.*)", text) for text in texts]
    return head, [(float(x[1]) / 100, float(x[2]), x[3]) for x in rows if x]


def traces(workdir):
    return sorted(workdir.glob("profile/plugins/profile/*"))


def test_a_run_is_traced_and_goes_on(pictures, tmp_path, caplog):
    caplog.set_level(logging.INFO, "jaxgan")
    often = dict.fromkeys(("log_every", "sample_every", "save_every"), 4)
    assert run(pictures, tmp_path / "run", steps=8, profile=3, **often) == 0
    [folder] = traces(tmp_path / "run")
    [file] = folder.glob("*.xplane.pb")
    planes = ProfileData.from_file(str(file)).planes
    lines = [line for plane in planes for line in plane.lines]
    assert {event.name for line in lines for event in line.events} >= set(PHASES)
    for name in ("perfetto_trace.json.gz", "*.trace.json.gz"):
        [path] = folder.glob(name)
        with gzip.open(path) as file:
            assert json.load(file)["traceEvents"]
    head, rows = told(caplog)
    assert "3 call(s) of 1 step, " in head
    assert "the device is idle" in head
    assert 0 < len(rows) <= 10
    shares = [share for share, _, _ in rows]
    assert shares == sorted(shares, reverse=True)
    assert all(0 < share <= 1 for share in shares)
    assert sum(shares) <= 1.01  # they are rounded
    products = [text for _, _, text in rows if re.match("convolution|dot", text)]
    assert any("Conv_" in text or "Dense_" in text for text in products)
    assert any("networks/" in text for text in products)
    assert (tmp_path / "run" / "checkpoints" / "8").exists()


def test_a_resumed_run_is_traced_anew(pictures, tmp_path, caplog):
    caplog.set_level(logging.INFO, "jaxgan")
    assert run(pictures, tmp_path, steps=2) == 0
    assert not traces(tmp_path)
    assert run(pictures, tmp_path, steps=6, profile=2) == 0
    assert len(traces(tmp_path)) == 1
    assert told(caplog)[0].startswith("profile: 2 call(s)")


def test_what_was_traced_is_told_where_the_run_ends_before(pictures, tmp_path, caplog):
    caplog.set_level(logging.INFO, "jaxgan")
    assert run(pictures, tmp_path, steps=3, profile=50) == 0
    assert told(caplog)[0].startswith("profile: 1 call(s) of 1 step")


def test_a_shorter_last_call_is_left_out(pictures, tmp_path, caplog):
    caplog.set_level(logging.INFO, "jaxgan")
    assert run(pictures, tmp_path, steps=11, steps_per_call=3, profile=9) == 0
    assert told(caplog)[0].startswith("profile: 1 call(s) of 3 steps")


def test_a_run_within_the_warm_up_says_so(pictures, tmp_path, caplog):
    assert run(pictures, tmp_path, steps=2, profile=5) == 0
    assert "nothing was traced; use more steps" in caplog.text
    assert not traces(tmp_path)


def test_several_runs_are_traced_as_the_one_program_that_they_are(
    pictures, tmp_path, caplog
):
    caplog.set_level(logging.INFO, "jaxgan")
    assert run(pictures, tmp_path, steps=5, runs=2, profile=2) == 0
    head, rows = told(caplog)
    assert "2 call(s) of 1 step" in head
    assert rows


@pytest.mark.parametrize("parallel", [slow("pmap"), "mesh"])
def test_several_devices_are_traced_as_one(pictures, tmp_path, caplog, parallel):
    caplog.set_level(logging.INFO, "jaxgan")
    given = {"steps": 5, "devices": 2, "parallel": parallel}
    assert run(pictures, tmp_path, **given, profile=2) == 0
    assert any("Conv_" in text for _, _, text in told(caplog)[1])


def test_another_trace_that_goes_on_is_left_alone(pictures, tmp_path, caplog):
    with jax.profiler.trace(tmp_path / "other"):
        assert run(pictures, tmp_path / "run", steps=5, profile=2) == 0
    assert "profile: nothing can be traced here" in caplog.text
    assert list(tmp_path.glob("other/plugins/profile/*/*.xplane.pb"))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("--profile=-1", "--profile=-1: must be at least 0, such as --profile=0"),
        ("--profile=much", "argument --profile: 'much' is not a whole number"),
    ],
)
def test_bad_values_are_refused_by_the_flags(said, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        parse_args([said])


def test_the_flag_needs_no_value():
    assert (
        Config.profile
        == parse_args([]).profile
        == parse_args(["--profile=0"]).profile
        == 0
    )
    assert parse_args(["--profile", "--steps=5"]).profile == 10
    assert parse_args(["--profile=3"]).profile == 3


def test_with_no_calls_nothing_is_traced(tmp_path):
    with profiling.open_profile(tmp_path, 0) as ahead:
        for _ in range(20):
            ahead(None, 1, None)
    assert not list(tmp_path.iterdir())


LOOP = """\
HloModule jit_call, is_scheduled=true

FileNames
1 "/lib/site-packages/optax/update.py"
2 "/home/me/jaxgan/networks/small.py"
3 "/home/me/jaxgan/networks/ops/convolutions.py"

FunctionNames
1 "f"

FileLocations
1 {file_name_id=2 function_name_id=1 line=40 end_line=40 column=1 end_column=2}
2 {file_name_id=1 function_name_id=1 line=7 end_line=7 column=1 end_column=2}
3 {file_name_id=3 function_name_id=1 line=47 end_line=47 column=1 end_column=2}

StackFrames
1 {file_location_id=1 parent_frame_id=1}
2 {file_location_id=3 parent_frame_id=2}
3 {file_location_id=2 parent_frame_id=3}
4 {file_location_id=3 parent_frame_id=1}


%fused (p: f32[8]) -> f32[8] {
  %p = f32[8]{0} parameter(0)
  %m = f32[8]{0} multiply(%p, %p)
  ROOT %c = f32[8]{0} convolution(%m, %p), metadata={op_name="jit(call)/G/Conv_0/c" \
stack_frame_id=3}
}

%body (p.1: f32[8]) -> f32[8] {
  %p.1 = f32[8]{0} parameter(0)
  ROOT %fusion.1 = f32[8]{0} fusion(%p.1), kind=kLoop, calls=%fused
}

ENTRY %main (x: f32[8]) -> f32[8] {
  %x = f32[8]{0} parameter(0)
  %g = f32[8]{0} custom-call(%x), custom_call_target="__cublas$gemm"
  %h = f32[8]{0} negate(%x), metadata={op_name="jit(call)/neg" stack_frame_id=4}
  ROOT %while.2 = f32[8]{0} while(%g), condition=%cond, body=%body
}
"""


def test_origins_are_read_from_the_program():
    found = origins(LOOP)
    fused = ("convolution", "G/Conv_0/c", "networks/small.py:40")
    # Of the instruction inside; neither the library's line nor that of all layers.
    assert found["fusion.1"] == fused
    assert found["h"] == ("negate", "neg", "ops/convolutions.py:47")  # no other
    assert found["g"] == ("__cublas$gemm", "", "")
    assert around(LOOP, ["while.2", "fusion.1"]) == {"while.2"}
    assert around(LOOP, ["while.2"]) == set()  # then its own time is all we know


def test_the_account_of_known_events():
    # ns; two steps on two devices: 10 + 10 and 20 busy, of 40 and 20
    found = summed(
        [
            Event("a", "while.2", 0, 40),
            Event("a", "fusion.1", 0, 10),
            Event("a", "g", 30, 40),
            Event("b", "fusion.1", 100, 120),
        ],
        LOOP,
        steps=2,
    )
    assert [row.op for row in found.rows] == ["fusion.1", "g"]
    assert [row.share for row in found.rows] == pytest.approx([30 / 40, 10 / 40])
    assert [row.seconds for row in found.rows] == pytest.approx([7.5e-9, 2.5e-9])
    assert [part.name for part in found.parts] == ["G", "other"]
    for part, share in zip(found.parts, [30 / 40, 10 / 40], strict=True):
        assert (part.share, part.products) == pytest.approx((share, share))
    assert found.seconds == pytest.approx(20e-9)
    assert found.idle == pytest.approx(1 - 40 / 60)
    # An operation that is no product.
    (part,) = summed([Event("a", "h", 0, 10)], LOOP, steps=1).parts
    assert part == ("other", 1.0, 0.0)
    with pytest.raises(ValueError, match="no operation"):
        summed([], LOOP, steps=2)


def space(plane, lines, stats=()):
    """A trace of one plane: `{line: [(event, start, duration, {stat: text})]}`."""
    names = sorted({event[0] for events in lines.values() for event in events})
    text = f'planes {{ id: 1 name: "{plane}" '
    for number, (line, events) in enumerate(lines.items()):
        text += f'lines {{ id: {number} name: "{line}" '
        for name, start, lasts, known in events:
            text += f"events {{ metadata_id: {names.index(name) + 1} "
            text += f"offset_ps: {start * 1000} duration_ps: {lasts * 1000} "
            for key, value in known.items():
                own = f'str_value: "{value}"'
                if isinstance(value, int):
                    own = f"int64_value: {value}"
                text += f"stats {{ metadata_id: {stats.index(key) + 1} {own} }} "
            text += "} "
        text += "} "
    for kind, each in (("event", names), ("stat", stats)):
        for number, name in enumerate(each, 1):
            text += f"{kind}_metadata {{ key: {number} value "
            text += f'{{ id: {number} name: "{name}" }} }} '
    return ProfileData(ProfileData.text_proto_to_serialized_xspace(text + "}"))


def test_a_tpu_tells_its_operations_on_a_line_of_their_own():
    data = space(
        "/device:TPU:0",
        {
            "XLA Modules": [("jit_call(77)", 0, 100, {}), ("jit_f(8)", 200, 50, {})],
            "XLA Ops": [
                ("%fusion.1 = f32[8]{0} fusion(%x)", 5, 10, {}),
                ("%fusion.1 = f32[9]{0} fusion(%y)", 205, 10, {}),
            ],
            "Steps": [("1", 0, 100, {})],
        },
    )
    assert read(data, "jit_call") == [Event("/device:TPU:0", "fusion.1", 5, 15)]


def test_a_gpu_tells_the_operation_of_each_kernel():
    own = {"hlo_module": "jit_call", "hlo_op": "g"}
    other = {"hlo_module": "jit_f", "hlo_op": "g"}
    data = space(
        "/device:GPU:0",
        {
            "Stream #1(Compute)": [
                ("gemm_kernel", 5, 10, own),
                ("gemm_kernel", 20, 1, other),
            ],
            "Stream #2(MemcpyD2H)": [("copy", 30, 1, {})],
        },
        ("hlo_module", "hlo_op"),
    )
    assert read(data, "jit_call") == [Event("/device:GPU:0", "g", 5, 15)]


def test_on_a_cpu_an_operation_lasts_until_its_end_is_told():
    own = {"hlo_module": "jit_call", "hlo_op": "dot.1", "device_ordinal": 1, "_p": 9}
    data = space(
        "/host:CPU",
        {
            "one thread": [("dot.1", 5, 2, own)],
            "another": [("end: dot.1", 30, 1, {"_c": 9}), ("other", 0, 9, {})],
        },
        ("hlo_module", "hlo_op", "device_ordinal", "_p", "_c"),
    )
    assert read(data, "jit_call") == [Event("cpu:1", "dot.1", 5, 31, 7)]


class Warns:
    """Data that warn when their events are read, as jaxlib's do once in a process."""

    def __init__(self, text):
        self.text = text

    @property
    def planes(self):
        warnings.warn(self.text, DeprecationWarning, stacklevel=1)
        return []


def test_a_type_without_a_module_ends_no_run_whose_warnings_are_errors():
    # raised in C++, where nobody catches it: of Python 3.13 on
    text = "builtin type event_stats has no __module__ attribute"
    assert read(Warns(text), "jit_call") == []
    with pytest.raises(DeprecationWarning, match="builtin type another"):
        read(Warns(text.replace("event_stats", "another")), "jit_call")


def test_a_plain_product_is_the_costliest_operation(tmp_path):
    def f(x):
        return jnp.tanh(x @ x)

    x = jnp.ones((512, 512))
    program = jax.jit(f).lower(x).compile()
    program(x).block_until_ready()
    with jax.profiler.trace(tmp_path):
        for _ in range(3):
            program(x).block_until_ready()
    [path] = tmp_path.rglob("*.xplane.pb")
    found = profiling.summarize_trace(path, program.as_text() or "", 3)
    assert found.rows[0].origin.what == "dot"
    assert found.rows[0].share > 0.5
    assert "test_profile.py" in found.rows[0].origin.source
