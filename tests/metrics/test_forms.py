"""Each metric says what it computes, and says something else where that is something else."""

from harness.metrics import precision_recall, swd
from harness.metrics.evaluation import METRICS
from harness.metrics.forms import FORMS


def test_every_metric_has_a_form_of_its_own():
    assert set(FORMS) == {*METRICS}
    assert len({*FORMS.values()}) == len(METRICS)


def test_constants_of_the_code_stand_in_the_forms():
    assert f"{swd.PATCHES_PER_IMAGE} patches of {swd.PATCH_PX}x{swd.PATCH_PX} px" in FORMS["swd"]
    assert f"{swd.DIRECTIONS} directions" in FORMS["swd"]
    assert FORMS["recall"].endswith(precision_recall.FORM)
