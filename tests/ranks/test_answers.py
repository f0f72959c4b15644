"""What processes tell one another, where there is one; for several see tests/faults."""

import pytest

from harness.errors import SpecError
from harness.ranks.answers import combined, everywhere, main_first, on_main


def test_one_process_tells_itself():
    assert on_main(lambda: 3) == on_main(lambda: 3, long=True) == 3
    assert everywhere(lambda: "here") == ["here"]
    assert combined(lambda: 2, lambda parts: [*parts, 5]) == [2, 5]
    calls = []
    assert main_first(lambda: calls.append(1) or "kept") == "kept"
    assert calls == [1]


@pytest.mark.parametrize("error", [SpecError(["a", "b"]), FloatingPointError("c"), KeyError("d")])
@pytest.mark.parametrize(
    "ask",
    [on_main, everywhere, main_first, lambda f: combined(f, len), lambda f: combined(int, f)],
)
def test_an_error_is_raised_as_it_is(ask, error):
    def fail(*parts):
        raise error

    with pytest.raises(type(error)) as caught:
        ask(fail)
    assert caught.value is error
