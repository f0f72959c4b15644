"""What models are asked to draw; M-numbers are faults of MMagic's samplers."""

import pytest
import torch
from drawn import Images, Styled, grown_gan, loader, styled_gan
from tiny import TinyModel
from tiny_gan import NOISE_SIZE
from torch.utils.data import DataLoader, TensorDataset

from harness.errors import DataError, SpecError
from harness.gen_metrics.batches import NoiseBatches, Path, PathBatches, Request, latents
from harness.metrics.path_length import mapping_of, path_ends

PLAIN = {"sample_model": "ema", "sample_kwargs": {}, "need_cond_input": False, "seed": 0}


def noise_batches(count, batch_size=8, gan=None, data=None, **request):
    batches = NoiseBatches(
        gan or grown_gan(),
        data or loader(batch_size=batch_size),
        count,
        Request(**(PLAIN | request)),
    )
    return batches, list(batches)


def path_batches(count, gan=None, batch_size=8, **path):
    given = {"space": "W", "sampling": "end", "epsilon": 0.1, "latent_dim": None} | path
    gan = gan or styled_gan()
    data = loader(batch_size=batch_size)
    batches = PathBatches(gan, data, count, Request(**PLAIN), Path(**given))
    return batches, [batch["inputs"] for batch in batches]


@pytest.mark.parametrize("count", [1, 7, 8, 9, 20, 24, 25])
def test_m2_exactly_as_many_images_as_wanted_in_as_many_batches_as_told(count):
    batches, asked = noise_batches(count)
    assert len(asked) == len(batches) == -(-count // 8)
    sizes = [inputs["inputs"]["num_batches"] for inputs in asked]
    assert sum(sizes) == count
    assert sizes[:-1] == [8] * (len(sizes) - 1)
    assert [len(inputs["inputs"]["noise"]) for inputs in asked] == sizes


@pytest.mark.parametrize("fewer", [1, 15, 17, 33])
def test_l4_latents_depend_neither_on_their_number_nor_on_batches(fewer):
    assert torch.equal(latents(40, 5, 0, "a")[:fewer], latents(fewer, 5, 0, "a"))
    drawn = [
        torch.cat([asked["inputs"]["noise"] for asked in noise_batches(20, size)[1]])
        for size in (3, 8)
    ]
    assert torch.equal(*drawn)
    assert not torch.equal(drawn[0], torch.cat([a["inputs"]["noise"] for a in more_seeds()]))


def more_seeds():
    return noise_batches(20, seed=1)[1]


def test_m13_a_models_arguments_are_passed_on():
    _, asked = noise_batches(9, sample_model="orig", sample_kwargs={"truncation": 0.5})
    for batch in asked:
        assert batch["inputs"]["sample_kwargs"] == {"truncation": 0.5}
        assert batch["inputs"]["sample_model"] == "orig"
        assert "data_samples" not in batch


def test_classes_come_from_the_data_set_and_repeat():
    labels = [
        [int(sample.gt_label.label) for batch in asked for sample in batch["data_samples"]]
        for _, asked in (noise_batches(20, need_cond_input=True) for _ in range(2))
    ]
    assert labels[0] == labels[1]
    assert len(labels[0]) == 20
    assert set(labels[0]) <= set(range(100, 100 + len(Images())))
    assert len(set(labels[0])) > 5
    data = DataLoader(TensorDataset(torch.zeros(3)), 8)
    with pytest.raises(DataError, match=r"TensorDataset has no get_data_info\(index\)"):
        noise_batches(2, data=data, need_cond_input=True)


def test_a_loader_without_a_batch_size_is_refused():
    with pytest.raises(DataError, match="has no batch_size"):
        noise_batches(2, batch_size=None)


@pytest.mark.parametrize(("count", "sizes"), [(4, [8]), (9, [8, 8, 2]), (1, [2])])
def test_m2_pairs_are_as_many_as_wanted_and_images_no_more_than_a_batch(count, sizes):
    batches, asked = path_batches(count)
    assert [len(inputs["noise"]) for inputs in asked] == sizes
    assert len(batches) == len(sizes)


def test_m13_space_w_feeds_codes_and_says_so():
    gan = styled_gan()
    (inputs,) = path_batches(4, gan)[1]
    assert inputs["sample_kwargs"]["input_is_latent"] is True
    with torch.no_grad():
        codes = gan.generator.style_mapping(latents(8, NOISE_SIZE, 0, "path latents"))
    expected = path_ends(codes.unflatten(0, (-1, 2)), torch.zeros(4), 0.1, "W")
    torch.testing.assert_close(inputs["noise"], expected)


def test_space_z_feeds_directions_and_needs_no_mapping():
    gan = grown_gan()
    (inputs,) = path_batches(4, gan, space="Z", sampling="full")[1]
    assert inputs["sample_kwargs"] == {}
    assert inputs["noise"].norm(dim=1).tolist() == pytest.approx([1.0] * 8)
    (ends,) = path_batches(4, gan, space="Z", sampling="end")[1]
    assert not torch.allclose(ends["noise"], inputs["noise"])
    with pytest.raises(SpecError, match=r'PGGANGenerator has no style_mapping.*space="Z"'):
        path_batches(4, gan)


class Injecting(Styled):
    def make_injected_noise(self):
        return [torch.ones(1)]


def test_both_ends_of_a_step_share_the_injected_noise():
    gan = styled_gan()
    gan.generator = Injecting()
    (inputs,) = path_batches(4, gan)[1]
    assert torch.equal(inputs["sample_kwargs"]["injected_noise"][0], torch.ones(1))
    for space in ("Z", "W"):
        (inputs,) = path_batches(4, styled_gan(), space=space)[1]
        assert inputs["sample_kwargs"]["randomize_noise"] is False


def test_m12_the_network_of_the_path_is_the_one_that_draws():
    gan = styled_gan()
    gan.generator_ema = Styled()
    with torch.no_grad():
        gan.generator_ema.style_mapping[0].weight.zero_()
        gan.generator_ema.style_mapping[0].bias.zero_()
    (inputs,) = path_batches(4, gan)[1]
    assert not inputs["noise"].any()


def test_a_mapping_network_is_found_among_a_generators_own_parts():
    assert mapping_of(Styled()) is not None
    assert mapping_of(torch.nn.Sequential(Styled())) is None


def test_models_that_do_not_say_enough_are_named():
    with pytest.raises(SpecError, match="TinyModel has no noise_size: give latent_dim"):
        path_batches(4, TinyModel())
    with pytest.raises(SpecError, match=r"TinyModel has no network\(name\)"):
        path_batches(4, TinyModel(), latent_dim=3)
