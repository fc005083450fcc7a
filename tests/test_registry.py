"""Members of a family are found by name, and what is no member is told."""

import pytest

from autosegloss import InputError
from autosegloss.curves import Bezier, CurveFamily, Identity
from autosegloss.errors import unknown


def test_families_are_found_by_name():
    assert {name: CurveFamily.resolve(name).name for name in CurveFamily.members} == {
        name: name for name in ("bezier", "identity", "linear")
    }
    with pytest.raises(InputError, match="unknown curve 'bezir': choose one of bezier, "):
        CurveFamily.resolve("bezir")
    with pytest.raises(InputError, match=r"curve 'bezier' has no option 'peaces'.*pieces"):
        CurveFamily.named("bezier", peaces=2)


def test_what_is_no_member_is_told():
    with pytest.raises(InputError, match=r"expected a curve by name .*bezier.* got the class .*Bezier, not an object"):
        CurveFamily.resolve(Bezier)
    with pytest.raises(InputError, match=r"expected a curve by name .* got an object of NoneType"):
        CurveFamily.resolve(None)


def family_named(name):
    return type("Mine", (Identity,), {"name": name, "__module__": __name__, "__qualname__": "Mine"})


def test_a_name_belongs_to_one_class():
    with pytest.raises(ValueError, match=r"'bezier' is .*\.Bezier"):
        family_named("bezier")
    assert CurveFamily.members["bezier"] is Bezier
    try:
        again = [family_named("mine") for _ in range(2)]  # a module may be loaded again
        assert CurveFamily.members["mine"] is again[1]
    finally:
        CurveFamily.members.pop("mine", None)


def test_an_unknown_name_is_answered_with_the_nearest_only():
    message = str(unknown("thing", "name7", [f"name{i}" for i in range(40)]))
    assert message.startswith("unknown thing 'name7': choose one of name7, ")
    assert message.endswith(", ... (40 in all)")
    assert message.count("name") == 13
    assert str(unknown("thing", "b", "ac")) == "unknown thing 'b': choose one of c, a"
