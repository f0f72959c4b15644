"""The digest that names a run."""

from hypothesis import given
from hypothesis import strategies as st

from harness.spec.identity import digest

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


def backwards(value):
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(value)}
    return [backwards(item) for item in value] if isinstance(value, list) else value


@given(st.dictionaries(st.text(max_size=3), VALUES, max_size=4))
def test_the_order_of_keys_does_not_count(value):
    assert digest(value) == digest(backwards(value))


def test_ten_is_ten_and_a_tuple_is_a_list():
    assert digest({"a": 10, "b": {"c": [1, 2]}}) == digest({"b": {"c": (1.0, 2)}, "a": 10.0})
    assert digest({4: 1}) == digest({"4": 1})


def test_what_differs_has_another_digest():
    values = [
        *({"a": 1}, {"a": 2}, {"b": 1}, {"a": "1"}, {"a": None}, {"a": 1.5}, {"a": True}, {}),
        *({"a": [1, 2]}, {"a": [2, 1]}, {"a": {"b": 1}}, {"a": 1, "b": 1}, {"a": 1e-9}),
    ]
    assert len({digest(value) for value in values}) == len(values)


def test_the_digest_is_the_same_in_every_process_and_release():
    assert digest({"a": [1, 2.5, None, "é"]}) == "2a30e3d7f3"
