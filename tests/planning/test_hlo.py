"""Costs read from HLO text: against XLA's own count, against unrolled loops, against literals."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from animclip_jax.models.transformer import Transformer, TransformerConfig
from animclip_jax.planning import hlo, hlo_text

LAYERS, WIDTH, TOKENS = 6, 64, 32


def compiled(function, *shapes):
    return jax.jit(function).lower(*shapes).compile()


def float32(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def stack(remat: str):
    """The gradient of a transformer of scanned layers, and the shapes it takes."""
    config = TransformerConfig(WIDTH, LAYERS, 4, 4 * WIDTH)

    def make():
        return Transformer(
            config, is_causal=False, dtype=jnp.dtype("float32"), rngs=nnx.Rngs(0), remat=remat
        )

    graphdef, state = nnx.split(nnx.eval_shape(make))

    def loss(params, x):
        return jnp.sum(nnx.merge(graphdef, params)(x) ** 2)

    return jax.grad(loss), nnx.to_pure_dict(state), float32(8, TOKENS, WIDTH)


# Not "dots": what its backward pass computes again is shared between layers once there is no loop.
@pytest.fixture(scope="module", params=["none", "block"])
def scanned_and_unrolled(request):
    """The same program with a loop and without one."""
    function, *shapes = stack(request.param)
    scanned = compiled(function, *shapes)
    scan = jax.lax.scan
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax.lax, "scan", lambda *a, **k: scan(*a, **k | {"unroll": LAYERS}))
        function, *shapes = stack(request.param)
        return scanned, compiled(function, *shapes)


def test_a_scan_costs_what_its_rounds_cost(scanned_and_unrolled):
    scanned, unrolled = scanned_and_unrolled
    assert " while(" in scanned.as_text() and " while(" not in unrolled.as_text()
    ours, theirs, xla = (
        hlo.cost(scanned.as_text()),
        hlo.cost(unrolled.as_text()),
        unrolled.cost_analysis(),
    )
    assert ours.unknown_loops == 0
    assert ours.flops == pytest.approx(theirs.flops, rel=0.02)
    # XLA's own count, which is right where there is no loop; it has the element-wise part too.
    assert theirs.flops == pytest.approx(xla["flops"], rel=0.05)
    assert theirs.bytes == pytest.approx(xla["bytes accessed"], rel=0.02)
    # A loop also stacks what the backward pass needs, and takes it from there.
    assert theirs.bytes < ours.bytes < 2 * theirs.bytes
    assert scanned.cost_analysis()["flops"] < 0.5 * ours.flops


LOOP = """HloModule m, entry_computation_layout={()->f32[]}

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  %b = f32[] parameter(1)
  ROOT %sum = f32[] add(%a, %b)
}

%inner (p: (s32[], f32[4,8])) -> (s32[], f32[4,8]) {
  %p = (s32[], f32[4,8]{1,0}) parameter(0)
  %x = f32[4,8]{1,0} get-tuple-element(%p), index=1
  %r = f32[4,8]{1,0} all-reduce(%x), replica_groups={{0,1},{2,3}}, to_apply=%add
  ROOT %t = (s32[], f32[4,8]{1,0}) tuple(%x, %r)
}

%test (q: (s32[], f32[4,8])) -> pred[] {
  %q = (s32[], f32[4,8]{1,0}) parameter(0)
  %i = s32[] get-tuple-element(%q), index=0
  %n = s32[] constant(3)
  ROOT %less = pred[] compare(%i, %n), direction=LT
}

%outer (o: (s32[], f32[4,8])) -> (s32[], f32[4,8]) {
  %o = (s32[], f32[4,8]{1,0}) parameter(0)
  %y = f32[4,8]{1,0} get-tuple-element(%o), index=1
  %d = f32[4,4]{1,0} dot(%y, %y), lhs_contracting_dims={1}, rhs_contracting_dims={1}, \
operand_precision={highest,highest}
  ROOT %w = (s32[], f32[4,8]{1,0}) while(%o), condition=%test, body=%inner
}

ENTRY %main (e: (s32[], f32[4,8])) -> (s32[], f32[4,8]) {
  %e = (s32[], f32[4,8]{1,0}) parameter(0)
  ROOT %v = (s32[], f32[4,8]{1,0}) while(%e), condition=%test, body=%outer, \
backend_config={"known_trip_count":{"n":"5"}}
}
"""


def test_every_collective_is_found_with_its_groups():
    (found,) = hlo.collectives(LOOP)
    assert (found.opcode, found.shape[0].dims) == ("all-reduce", (4, 8))
    assert hlo_text.device_groups(found.rest) == [(0, 1), (2, 3)]


# As the TPU compiler hides an all-gather between other kernels: 8 devices, 2 rows each.
CHAIN = """HloModule m, entry_computation_layout={()->f32[]}

%begin (p.0: f32[2,256]) -> (f32[2,256], f32[16,256]) {
  %p.0 = f32[2,256]{1,0} parameter(0)
  %part.0 = f32[16,256]{1,0} all-gather(%p.0), channel_id=1, replica_groups={{0,1,2,3,4,5,6,7}}, \
frontend_attributes={chain_id="3"}
  ROOT %c.0 = (f32[2,256]{1,0}, f32[16,256]{1,0}) custom-call(%part.0), custom_call_target="S"
}

%middle (p.1: f32[2,256], q.1: f32[16,256], x: f32[8]) -> (f32[8], f32[2,256], f32[16,256]) {
  %p.1 = f32[2,256]{1,0} parameter(0)
  %q.1 = f32[16,256]{1,0} parameter(1)
  %x = f32[8]{0} parameter(2)
  %y = f32[8]{0} negate(%x)
  %part.1 = f32[16,256]{1,0} all-gather(%p.1), channel_id=1, replica_groups={{0,1,2,3,4,5,6,7}}, \
frontend_attributes={chain_id="3"}
  ROOT %t.1 = (f32[8]{0}, f32[2,256]{1,0}, f32[16,256]{1,0}) tuple(%y, %p.1, %part.1)
}

%end (p.2: f32[2,256], q.2: f32[16,256]) -> f32[16,256] {
  %p.2 = f32[2,256]{1,0} parameter(0)
  %q.2 = f32[16,256]{1,0} parameter(1)
  %part.2 = f32[16,256]{1,0} all-gather(%p.2), channel_id=1, replica_groups={{0,1,2,3,4,5,6,7}}, \
frontend_attributes={chain_id="3"}
  ROOT %c.2 = f32[16,256]{1,0} custom-call(%p.2, %q.2, %part.2), custom_call_target="D"
}

ENTRY %main (e: f32[2,256], v: f32[8]) -> f32[16,256] {
  %e = f32[2,256]{1,0} parameter(0)
  %v = f32[8]{0} parameter(1)
  %f.0 = (f32[2,256]{1,0}, f32[16,256]{1,0}) fusion(%e), kind=kCustom, calls=%begin
  %g.0 = f32[2,256]{1,0} get-tuple-element(%f.0), index=0
  %g.1 = f32[16,256]{1,0} get-tuple-element(%f.0), index=1
  %f.1 = (f32[8]{0}, f32[2,256]{1,0}, f32[16,256]{1,0}) fusion(%g.0, %g.1, %v), kind=kCustom, \
calls=%middle
  %g.2 = f32[2,256]{1,0} get-tuple-element(%f.1), index=1
  %g.3 = f32[16,256]{1,0} get-tuple-element(%f.1), index=2
  ROOT %f.2 = f32[16,256]{1,0} fusion(%g.2, %g.3), kind=kCustom, calls=%end
}
"""


def test_a_collective_that_is_hidden_between_kernels_is_one():
    own, whole, beside = 4 * 2 * 256, 4 * 16 * 256, 4 * 8
    cost = hlo.cost(CHAIN)
    everyone = hlo.Collective("all-gather", tuple(range(8)))
    assert (cost.calls[everyone], cost.collectives[everyone]) == (1, whole)
    assert len(hlo.collectives(CHAIN)) == 1
    # The first kernel reads this device's rows; its results are they, and all of them.
    assert cost.bytes == (own + own + whole) + (beside + beside)


def test_loops_inside_loops_multiply():
    cost = hlo.cost(LOOP)
    pair = hlo.Collective("all-reduce", (0, 1))
    assert (cost.calls[pair], cost.collectives[pair]) == (5 * 3, 5 * 3 * 4 * 8 * 4)
    assert (cost.flops, cost.passes) == (5 * 2 * 4 * 4 * 8, 6 * 5 * 2 * 4 * 4 * 8)
    assert cost.unknown_loops == 0


def test_a_loop_without_an_end_in_sight_is_told():
    cost = hlo.cost(LOOP.replace("direction=LT", "direction=NE"))
    assert cost.unknown_loops == 5
    assert cost.calls[hlo.Collective("all-reduce", (0, 1))] == 5


def entry(*lines: str) -> str:
    body = "\n".join(f"  {line}" for line in lines)
    return f"HloModule m\n\nENTRY %main (x: f32[1]) -> f32[1] {{\n{body}\n}}\n"


def of_two(kind: str, results: str, of_start: str) -> tuple[str, str]:
    """A collective of two arrays that waits for its end, and one that goes on beside others."""
    begin = ["%x = f32[16]{0} parameter(0)", "%y = bf16[32]{0} parameter(1)"]
    rest = "replica_groups={{0,1,2,3}}"
    waits = entry(*begin, f"ROOT %r = {results} {kind}(%x, %y), {rest}")
    goes_on = entry(
        *begin,
        f"%s = {of_start} {kind}-start(%x, %y), {rest}",
        f"ROOT %r = {results} {kind}-done(%s)",
    )
    return waits, goes_on


# As XLA writes them for GPUs, where small collectives are joined.
GATHERED = "(f32[64]{0}, bf16[128]{0})"
GIVEN = "(f32[16]{0}, bf16[32]{0})"


@pytest.mark.parametrize(
    ("kind", "results", "of_start"),
    [
        ("all-gather", GATHERED, f"({GIVEN}, {GATHERED})"),
        ("all-reduce", GIVEN, GIVEN),
        ("collective-permute", GIVEN, f"({GIVEN}, {GIVEN}, u32[], u32[])"),
    ],
)
def test_joined_collectives_that_go_on_beside_others_cost_what_others_cost(kind, results, of_start):
    waits, goes_on = map(hlo.cost, of_two(kind, results, of_start))
    assert goes_on == waits
    assert sum(goes_on.collectives.values()) == 4 * 32 * (4 if kind == "all-gather" else 1)


def test_a_reduction_that_goes_on_beside_others_writes_its_result():
    lines = ["%x = f32[16]{0} parameter(0)", "%s = f32[16]{0} all-reduce-start(%x), to_apply=%a"]
    found = hlo.cost(entry(*lines, "ROOT %r = f32[16]{0} all-reduce-done(%s)"))
    assert found.bytes == 2 * 4 * 16


def test_a_batched_product_that_a_tpu_writes_as_a_convolution():
    # 16 products of [5, 448] and [448, 64]: most of the window's positions fall into holes.
    text = entry(
        "%x = f32[16,5,448]{2,1,0} parameter(0)",
        "%y = f32[16,448,64]{2,1,0} parameter(1)",
        "ROOT %c = f32[16,5,64]{2,1,0} convolution(%x, %y), "
        "window={size=16 stride=15 lhs_dilate=16}, dim_labels=0bf_0io->0bf",
    )
    assert hlo.cost(text).flops == 2 * 16 * 5 * 448 * 64


def test_convolutions_cost_what_xla_counts():
    def convolve(x, kernel):
        return jax.lax.conv_general_dilated(
            x, kernel, (2, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    program = compiled(convolve, float32(2, 9, 8, 3), float32(3, 3, 3, 16))
    cost = hlo.cost(program.as_text())
    assert cost.flops == program.cost_analysis()["flops"] > 0


def test_traffic_is_what_is_in_hbm_and_of_slices_what_they_take():
    text = """HloModule m

%take (a: f32[100,8], i: s32[]) -> f32[1,8] {
  %a = f32[100,8]{1,0} parameter(0)
  %i = s32[] parameter(1)
  %zero = s32[] constant(0)
  ROOT %s = f32[1,8]{1,0} dynamic-slice(%a, %i, %zero), dynamic_slice_sizes={1,8}
}

%put (a.1: f32[100,8], u: f32[1,8], i.1: s32[]) -> f32[100,8] {
  %a.1 = f32[100,8]{1,0} parameter(0)
  %u = f32[1,8]{1,0} parameter(1)
  %i.1 = s32[] parameter(2)
  %zero.1 = s32[] constant(0)
  ROOT %d = f32[100,8]{1,0} dynamic-update-slice(%a.1, %u, %i.1, %zero.1)
}

ENTRY %main (all: f32[100,8], at: s32[]) -> f32[100,8] {
  %all = f32[100,8]{1,0} parameter(0)
  %at = s32[] parameter(1)
  %row = f32[1,8]{1,0} fusion(%all, %at), kind=kLoop, calls=%take
  %near = f32[1,8]{1,0:T(8,128)S(1)} copy(%row)
  ROOT %back = f32[100,8]{1,0} fusion(%all, %near, %at), kind=kLoop, calls=%put
}
"""
    row, index = 8 * 4, 4
    assert hlo.cost(text).bytes == (2 * row + index) + row + (row + index)


def test_a_slice_that_is_brought_on_chip_ahead_of_its_use_is_read_once():
    text = entry(
        "%x = bf16[100,8]{1,0} parameter(0)",
        "%begun = ((bf16[100,8]{1,0}), bf16[10,8]{1,0:T(8,128)S(1)}, s32[]{:S(2)}) "
        "slice-start(%x), slice={[0:10], [0:8]}",
        "ROOT %near = bf16[10,8]{1,0:T(8,128)S(1)} slice-done(%begun)",
    )
    assert hlo.cost(text).bytes == 2 * 10 * 8


def test_a_slice_inside_of_a_fusion_s_fusion_is_read_and_not_the_whole():
    text = """HloModule m

%inner (a: f32[100,8], i: s32[]) -> f32[1,8] {
  %a = f32[100,8]{1,0} parameter(0)
  %i = s32[] parameter(1)
  %zero = s32[] constant(0)
  ROOT %s = f32[1,8]{1,0} dynamic-slice(%a, %i, %zero), dynamic_slice_sizes={1,8}
}

%whole (a.2: f32[100,8]) -> f32[1,8] {
  %a.2 = f32[100,8]{1,0} parameter(0)
  ROOT %sum = f32[1,8]{1,0} custom-call(%a.2), custom_call_target="S"
}

%outer (a.1: f32[100,8], i.1: s32[], out: f32[50,8]) -> (f32[50,8], f32[1,8]) {
  %a.1 = f32[100,8]{1,0} parameter(0)
  %i.1 = s32[] parameter(1)
  %out = f32[50,8]{1,0} parameter(2)
  %zero.1 = s32[] constant(0)
  %taken = f32[1,8]{1,0} fusion(%a.1, %i.1), kind=kLoop, calls=%inner
  %d = f32[50,8]{1,0} dynamic-update-slice(%out, %taken, %i.1, %zero.1)
  ROOT %t = (f32[50,8]{1,0}, f32[1,8]{1,0}) tuple(%d, %taken)
}

ENTRY %main (all: f32[100,8], at: s32[], to: f32[50,8]) -> (f32[50,8], f32[1,8]) {
  %all = f32[100,8]{1,0} parameter(0)
  %at = s32[] parameter(1)
  %to = f32[50,8]{1,0} parameter(2)
  ROOT %both = (f32[50,8]{1,0}, f32[1,8]{1,0}) fusion(%all, %at, %to), kind=kOutput, calls=%outer
}
"""
    row, whole, index = 8 * 4, 100 * 8 * 4, 4
    # It takes a row, puts it into one result and makes another of it.
    assert hlo.cost(text).bytes == row + index + (row + row)
    takes_all = text.replace("fusion(%a.1, %i.1), kind=kLoop, calls=%inner", "fusion(%a.1), "
                             "kind=kLoop, calls=%whole")  # fmt: skip
    assert hlo.cost(takes_all).bytes == whole + index + (row + row)


@pytest.mark.parametrize("dearer_first", [False, True])
def test_of_branches_the_dearer_is_counted(dearer_first):
    def once(x):
        return x @ x

    def twice(x):
        return x @ (x @ x)

    def branches(x, choose):
        return jax.lax.cond(choose, *((twice, once) if dearer_first else (once, twice)), x)

    program = compiled(branches, float32(16, 16), jax.ShapeDtypeStruct((), bool))
    assert hlo.cost(program.as_text()).flops == 2 * 2 * 16**3


# As XLA writes a product for cuBLAS: 8 of 4 x 6 by 6 x 5, and the 1,000 bytes that it works in.
GEMM = """HloModule m, entry_computation_layout={()->f32[]}

ENTRY %main (a: bf16[8,4,6], b: bf16[8,6,5]) -> (bf16[8,4,5], s8[1000]) {
  %a = bf16[8,4,6]{2,1,0} parameter(0)
  %b = bf16[8,6,5]{2,1,0} parameter(1)
  ROOT %gemm = (bf16[8,4,5]{2,1,0}, s8[1000]{0}) custom-call(%a, %b), \
custom_call_target="__cublas$lt$matmul", backend_config={"gemm_backend_config":\
{"dot_dimension_numbers":{"lhs_contracting_dimensions":["2"],"rhs_contracting_dimensions":["1"],\
"lhs_batch_dimensions":["0"],"rhs_batch_dimensions":["0"]}}}
}
"""


def test_a_product_by_cublas_is_one():
    found = hlo.cost(GEMM)
    assert found.flops == found.passes == 2 * 8 * 4 * 6 * 5
    assert found.bytes == 2 * 8 * (4 * 6 + 6 * 5 + 4 * 5)
    other = hlo.cost(GEMM.replace("__cublas$lt$matmul", "a_norm"))
    assert other.flops == 0 and other.bytes == found.bytes + 1000


def test_a_kernel_of_pallas_counts_what_it_says_of_itself():
    text = entry(
        "%x = bf16[40,96]{1,0} parameter(0)",
        '%mixed = bf16[40,32]{1,0} custom-call(%x), custom_call_target="tpu_custom_call", '
        'backend_config={"custom_call_config":{"body":"TUzvUg==","cost_estimate":'
        '{"flops":"5120","transcendentals":"64","bytes_accessed":"7"},"needs_layout_passes":true}}',
        'ROOT %other = bf16[40,32]{1,0} custom-call(%mixed), custom_call_target="Sharding"',
    )
    found = hlo.cost(text)
    assert found.flops == found.passes == 5120
    # What is in HBM of operands and results, as of any kernel.
    assert found.bytes == 2 * 40 * (96 + 32) + 2 * 40 * (32 + 32)
