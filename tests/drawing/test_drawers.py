"""Codes between two seeds: on the great circle in z, straight in w; both ends are the seeds'."""

import pytest
import torch
from published import NETWORKS, network

from harness.checkpoints.kept import Generator
from harness.drawing.drawers import drawer, great_circle
from harness.errors import DataError, SpecError


def of(family, **more):
    return Generator(family, NETWORKS[family], network(family), **more)


def test_the_great_circle_turns_evenly_and_ends_at_its_ends():
    first, second = torch.tensor([[3.0, 0.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.0]])
    torch.testing.assert_close(great_circle(first, second, 0.0), first)
    torch.testing.assert_close(great_circle(first, second, 1.0), second)
    third = great_circle(first, second, 1 / 3)
    expected = (3 - 2 / 3) * torch.tensor([[3**0.5 / 2, 0.5, 0.0]])
    torch.testing.assert_close(third, expected)


@pytest.mark.parametrize(
    ("family", "space"), [("pggan", "z"), ("stylegan2", "z"), ("stylegan2", "w")]
)
def test_a_way_between_seeds_ends_at_their_codes(family, space):
    draw = drawer(of(family), 0.6 if family == "stylegan2" else 1.0)
    for share, seed in ((0.0, 4), (1.0, 9)):
        torch.testing.assert_close(
            draw.between(4, 9, share, space), draw.code(seed), atol=2e-4, rtol=0
        )


def test_the_middle_in_w_is_the_mean_of_both_styles():
    draw = drawer(of("stylegan2"))
    mean = (draw.code(0) + draw.code(1)) / 2
    torch.testing.assert_close(draw.between(0, 1, 0.5, "w"), mean)


def test_styles_are_as_many_as_the_scale_takes_that_growth_stood_at():
    stage = {"curr_scale": 8, "transition_weight": 0.5}
    draw = drawer(of("stylegan1", stage=stage))
    assert draw.code(0).shape == (1, 4, 8)
    assert draw.image(draw.code(0)).shape == (3, 8, 8)
    assert draw.image(draw.mixed(0, 1, range(3, 4))).shape == (3, 8, 8)
    with pytest.raises(SpecError, match="--layers: 4 is not in 0 to 3"):
        draw.mixed(0, 1, range(3, 5))


def test_a_mean_style_that_training_kept_goes_before_one_of_the_weights():
    arguments = NETWORKS["stylegan1"] | {"paper_form": True}
    built = network("stylegan1", paper_form=True)
    draw = drawer(Generator("stylegan1", arguments, built), 0.0)
    kept = built.get_buffer("mean_latent").reshape(1, 1, -1)
    assert not torch.allclose(kept[0], built.style_mapping.mean_style())
    torch.testing.assert_close(draw.code(0), kept.expand(1, 6, 8))


def test_the_mean_style_is_where_truncation_leads():
    draw = drawer(of("stylegan2"), 0.0)
    mean = draw.network.style_mapping.mean_style()
    assert draw.code(3).shape == (1, 6, 8)
    torch.testing.assert_close(draw.code(3), mean[:, None].expand(1, 6, 8))
    half = drawer(of("stylegan2"), 0.5).code(3)
    torch.testing.assert_close(half, (drawer(of("stylegan2")).code(3) + draw.code(3)) / 2)


def test_noise_is_the_networks_own():
    draw = drawer(of("stylegan2"))
    image = draw.image(draw.code(0))
    assert torch.equal(image, draw.image(draw.code(0)))
    draw.network.injected_noise_4.add_(1)
    assert not torch.equal(image, draw.image(draw.code(0)))


def test_a_generator_that_was_kept_while_it_grew_draws_at_its_scale():
    stage = {"curr_scale": 8, "transition_weight": 0.25}
    draw = drawer(of("pggan", stage=stage))
    latent = draw.code(0)
    with torch.no_grad():
        assert torch.equal(draw.draw(latent), draw.network(latent, **stage))
    assert draw.image(latent).shape == (3, 8, 8)


def test_drawing_leaves_the_global_stream_and_the_gradients_alone():
    torch.manual_seed(1)
    for family in ("pggan", "stylegan1", "stylegan2"):
        draw = drawer(of(family))
        draw.image(draw.code(0))
    drawn = torch.rand(2)
    torch.manual_seed(1)
    for family in ("pggan", "stylegan1", "stylegan2"):
        of(family)
    assert torch.equal(drawn, torch.rand(2))


def test_images_that_are_not_finite_are_refused():
    generator = of("pggan")
    generator.network.torgb_layers[2].conv.bias.data.fill_(float("inf"))
    draw = drawer(generator)
    with pytest.raises(DataError, match="a pggan draws images that are not finite"):
        draw.image(draw.code(0))
