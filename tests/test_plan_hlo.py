"""Reading compiled programs: small texts with known answers."""

import pytest

from jaxgan.performance.hlo import collectives, cost, parser, trip_counts

LOOP = """HloModule step, input_output_alias={ {0}: (0, {}, may-alias), {1}: (2, {}, may-alias) }, entry_computation_layout={(f32[256]{0:T(256)})}

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[]{:T(128)} parameter(0)
  %b = f32[]{:T(128)} parameter(1)
  ROOT %sum = f32[]{:T(128)} add(%a, %b)
}

%inner (p0: f32[8,64], p1: bf16[64,32]) -> f32[8,32] {
  %p0 = f32[8,64]{1,0:T(8,128)} parameter(0)
  %p1 = bf16[64,32]{1,0:T(8,128)(2,1)} parameter(1)
  ROOT %conv = f32[8,32]{1,0:T(8,128)} convolution(%p0, %p1), dim_labels=bf_io->bf, metadata={op_name="jit(step)/Dense_0/dot_general"}
}

%condition (t: (s32[], f32[256])) -> pred[] {
  %t = (s32[]{:T(128)}, f32[256]{0:T(256)}) parameter(0)
  %i = s32[]{:T(128)} get-tuple-element(%t), index=0
  %limit = s32[]{:T(128)} constant(10)
  ROOT %less = pred[]{:T(512)} compare(%i, %limit), direction=LT
}

%body (t.1: (s32[], f32[256])) -> (s32[], f32[256]) {
  %t.1 = (s32[]{:T(128)}, f32[256]{0:T(256)}) parameter(0)
  %i.1 = s32[]{:T(128)} get-tuple-element(%t.1), index=0
  %two = s32[]{:T(128)} constant(2)
  %next = s32[]{:T(128)} add(%i.1, %two)
  %x.1 = f32[256]{0:T(256)} get-tuple-element(%t.1), index=1
  %reduced = f32[256]{0:T(256)} all-reduce(%x.1), channel_id=1, replica_groups=[1,4]<=[4], to_apply=%add
  ROOT %out = (s32[]{:T(128)}, f32[256]{0:T(256)}) tuple(%next, %reduced)
}

ENTRY %main (x: f32[256], y: f32[8,64], w: bf16[64,32]) -> (f32[256], f32[8,32]) {
  %x = f32[256]{0:T(256)} parameter(0)
  %y = f32[8,64]{1,0:T(8,128)} parameter(1)
  %w = bf16[64,32]{1,0:T(8,128)(2,1)} parameter(2)
  %zero = s32[]{:T(128)} constant(0)
  %start = (s32[]{:T(128)}, f32[256]{0:T(256)}) tuple(%zero, %x)
  %loop = (s32[]{:T(128)}, f32[256]{0:T(256)}) while(%start), condition=%condition, body=%body
  %z = f32[256]{0:T(256)} get-tuple-element(%loop), index=1
  %gather-start = (f32[256]{0:T(256)}, f32[1024]{0:T(1024)}) all-gather-start(%z), channel_id=2, replica_groups={{0,1,2,3}}, dimensions={0}
  %gather-done = f32[1024]{0:T(1024)} all-gather-done(%gather-start)
  %product = f32[8,32]{1,0:T(8,128)} fusion(%y, %w), kind=kOutput, calls=%inner, backend_config={"window_config":{"estimated_cycles":"100"}}
  ROOT %result = (f32[256]{0:T(256)}, f32[8,32]{1,0:T(8,128)}) tuple(%z, %product)
}
"""  # noqa: E501


def found():
    return cost.work_of(parser.parse(LOOP), devices=4)


def test_a_loop_turns_as_often_as_its_counter_says():
    module = parser.parse(LOOP)
    entry = module.computations[module.entry]
    # from 0 in steps of 2 while below 10
    assert trip_counts.turns(module, entry, entry.instructions["loop"]) == 5
    assert found().unknown == 0


def test_a_loop_of_unknown_length_is_told_and_counts_once():
    text = LOOP.replace("constant(10)", "parameter(9)")
    unknown = cost.work_of(parser.parse(text), 4)
    assert unknown.unknown == 1
    assert unknown.messages["all-reduce"].count == 1


def test_a_loop_whose_length_xla_wrote_down():
    known = 'body=%body, backend_config={"known_trip_count":{"n":"7"}}'
    text = LOOP.replace("body=%body", known)
    assert cost.work_of(parser.parse(text), 4).messages["all-reduce"].count == 7


def test_messages_are_counted_per_step_and_once_if_asynchronous():
    # 5 turns x 256 float32; rings of 4 send 2 x 3/4 of it
    sums = collectives.Message("all-reduce", 5, 5 * 1024, 5 * 1024 * 1.5)
    # 1024 float32 come together, 3/4 of them from others
    gathers = collectives.Message("all-gather", 1, 4096, 4096 * 0.75)
    assert found().messages == {"all-reduce": sums, "all-gather": gathers}
    assert found().sent == 7680 + 3072


def test_products_in_fusions_are_found_with_their_types_and_padding():
    (product,) = found().products
    assert product.flops == 2 * 8 * 64 * 32
    assert product.padded == 4 * product.flops  # 32 of 128 lanes
    assert found().padding == 0.75
    assert product.operands == ("f32", "bf16")
    assert cost.wide_products(found()) == [product]
    assert product.op_name == "jit(step)/Dense_0/dot_general"


def test_bytes_of_the_hbm_are_padded_and_those_on_the_chip_do_not_count():
    # y is 8 x 128, w 64 x 128 in bfloat16, the product 8 x 128
    assert found().hbm == 4 * 8 * 128 + 2 * 64 * 128 + 4 * 8 * 128
    on_chip = LOOP.replace("{1,0:T(8,128)}", "{1,0:T(8,128)S(1)}")
    assert cost.work_of(parser.parse(on_chip), 4).hbm == 2 * 64 * 128
    assert found().cycles == 100


def test_a_slice_that_is_fetched_is_read_once():
    # 2 of 8 rows of 128 go to the chip; what comes of them does not count again
    line = (
        "  %cut-start = ((f32[8,64]{1,0:T(8,128)}), f32[2,64]{1,0:T(2,128)S(1)}, "
        "s32[]{:S(2)}) slice-start(%y), slice={[0:2], [0:64]}\n"
        "  %cut = f32[2,64]{1,0:T(2,128)S(1)} slice-done(%cut-start)\n"
    )
    more = LOOP.replace("  %gather-start", line + "  %gather-start")
    assert cost.work_of(parser.parse(more), 4).hbm == found().hbm + 4 * 2 * 128
    kept = more.replace("T(2,128)S(1)", "T(2,128)")
    assert cost.work_of(parser.parse(kept), 4).hbm == found().hbm + 2 * 4 * 2 * 128


def test_another_layout_of_an_argument_is_made_once_per_call():
    line = (
        "  %copy = f32[8,64]{0,1:T(8,128)} copy(%y), "
        'backend_config={"window_config":{"estimated_cycles":"7"}}\n'
    )
    more = cost.work_of(parser.parse(LOOP.replace("  %zero =", line + "  %zero =")), 4)
    assert (more.hbm, more.cycles) == (found().hbm, found().cycles)
    assert more.once == 4 * (8 * 128 + 64 * 128)
    inner = LOOP.replace("  %zero =", line.replace("%y", "%product") + "  %zero =")
    assert cost.work_of(parser.parse(inner), 4).once == 0


def test_what_was_donated():
    assert cost.aliased(parser.parse(LOOP)) == {0, 2}
    stored = [x.stored for x in cost.parameters(parser.parse(LOOP))]
    assert stored == [1024, 4 * 8 * 128, 2 * 64 * 128]


@pytest.mark.parametrize(
    "line",
    [
        "infeed(%x)",
        "send(%x), is_host_transfer=true",
        'custom-call(%x), custom_call_target="xla_python_cpu_callback"',
    ],
)
def test_transfers_to_the_host_are_found(line):
    assert found().transfers == []
    text = LOOP.replace("  %zero =", f"  %t9 = f32[256]{{0:T(256)}} {line}\n  %zero =")
    assert len(cost.work_of(parser.parse(text), 4).transfers) == 1


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("f32[3,5]{1,0:T(8,128)}", 4 * 8 * 128),
        ("bf16[16,7,7,32]{3,0,2,1:T(8,128)(2,1)}", 2 * 16 * 7 * 7 * 128),
        ("f32[1568]{0:T(1024)}", 4 * 2048),
        ("f32[]{:T(128)}", 4),
        ("pred[4]{0}", 4),
    ],
)
def test_padded_sizes(text, stored):
    assert parser.shapes_of(text)[0].stored == stored


def convolution(text, inputs, kernel):
    lines = f"""HloModule m

ENTRY %main (x: f32[1]) -> f32[1] {{
  %x = f32[{inputs}]{{3,2,1,0}} parameter(0)
  %k = f32[{kernel}]{{3,2,1,0}} parameter(1)
  ROOT %y = {text}
}}
"""
    (product,) = cost.work_of(parser.parse(lines), 1).products
    return product


def test_flops_of_convolutions_leave_out_the_border():
    # 3x3 on 4x4 with a border of one: 10 pairs along each axis
    same = "f32[2,4,4,7]{3,2,1,0} convolution(%x, %k), window={size=3x3 pad=1_1x1_1}, "
    product = convolution(same + "dim_labels=b01f_01io->b01f", "2,4,4,5", "3,3,5,7")
    assert product.flops == 2 * 2 * 5 * 7 * 10 * 10
    # stride 2 without border: 4 outputs of 2x2 taps
    halved = (
        "f32[2,2,2,7]{3,2,1,0} convolution(%x, %k), window={size=2x2 stride=2x2}, "
        "dim_labels=b01f_01io->b01f"
    )
    product = convolution(halved, "2,4,4,5", "2,2,5,7")
    assert product.flops == 2 * 2 * 5 * 7 * 4 * 4


def test_flops_of_the_transposed_convolution_are_those_of_the_convolution():
    # spread by 2: every input meets each of the 2x2 taps once
    text = (
        "f32[2,4,4,5]{3,2,1,0} convolution(%x, %k), "
        "window={size=2x2 pad=1_1x1_1 lhs_dilate=2x2}, dim_labels=b01f_01io->b01f"
    )
    product = convolution(text, "2,2,2,7", "2,2,7,5")
    assert product.flops == 2 * 2 * 5 * 7 * 4 * 4


def test_flops_of_a_dot():
    text = (
        "f32[2,3,5,7]{3,2,1,0} dot(%x, %k), lhs_contracting_dims={3}, "
        "rhs_contracting_dims={0}"
    )
    product = convolution(text, "2,3,5,11", "11,1,1,7")
    assert product.flops == 2 * 2 * 3 * 5 * 7 * 11


def test_a_mesh_names_who_takes_part():
    text = "replica_groups=mesh['axis_0'=4,'axis_1'=16] {'axis_1'}, dimensions={0}"
    assert collectives.members(text, 64) == 16
    assert collectives.members("no groups", 64) == 64
