"""HLO text taken apart: literals in every form that JAX writes."""

import pytest

from animclip_jax.planning import hlo_text

TEXT = """HloModule m

%inside (a: f32[2,3]) -> (f32[2,3], bf16[4]) {
  ROOT %t = (f32[2,3]{1,0}, bf16[4]{0:T(8,128)S(1)}) tuple(%a, %b), metadata={op_name="x"}
  %a = f32[2,3]{1,0} parameter(0)
  %b = bf16[4]{0:T(8,128)S(1)} constant({1, 2, 3, 4})
}

ENTRY %main (p: f32[2,3]) -> (f32[2,3], bf16[4]) {
  %p = f32[2,3]{1,0} parameter(0)
  ROOT %f = (f32[2,3]{1,0}, bf16[4]{0}) fusion(%p), kind=kLoop, calls=%inside
}
"""


def test_computations_and_their_instructions():
    found, entry = hlo_text.parse(TEXT)
    assert list(found) == ["inside", "main"] and entry == "main"
    a, b, root = found["inside"]  # the root comes last, wherever it stands
    assert (root.name, root.opcode, root.operands) == ("t", "tuple", ["a", "b"])
    assert [(x.dtype, x.dims, x.in_hbm, x.bytes) for x in root.shape] == [
        ("f32", (2, 3), True, 24),
        ("bf16", (4,), False, 8),
    ]
    assert a.operands == ["0"] and b.opcode == "constant"
    assert hlo_text.attribute(found["main"][1].rest, "calls") == "inside"


@pytest.mark.parametrize(
    ("said", "group"),
    [
        ("replica_groups={{1,3},{0,2}}", (0, 2)),
        ("replica_groups=[2,4]<=[8]", (0, 1, 2, 3)),
        ("replica_groups=[4,2]<=[2,4]T(1,0)", (0, 4)),
        ("replica_groups=mesh['a'=2,'b'=4] {'a'}", (0, 4)),
        ("replica_groups=mesh['a'=2,'b'=2,'c'=2] {'a','c'}", (0, 1, 4, 5)),
        ("replica_groups=mesh['a'=4,'b'=2], device_ids=([2,4]T(1,0)) {'a'}", (0, 1, 2, 3)),
        ("source_target_pairs={{0,2},{2,4},{4,0},{1,3}}", (0, 2, 4)),
        ("source_target_pairs={{4,2},{1,3},{2,0}}", (0, 2, 4)),
        ("source_target_pairs={{1,2},{2,1}}", (0,)),
        ("channel_id=1", ()),
    ],
)
def test_who_communicates_with_device_0(said, group):
    assert hlo_text.device_group(f", {said}, use_global_device_ids=true") == group
