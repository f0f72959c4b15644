import torch

from harness.networks.kernels import kernel_path


def test_the_path_is_named_for_each_kind_of_network():
    cpu = torch.device("cpu")
    style = kernel_path("StyleGAN2", cpu)
    assert style["filtering"] == "depthwise conv2d"
    assert "conv2d" in style["modulated convolution"]
    assert set(kernel_path("PGGAN", cpu)) == {"backend"}


def test_a_gpus_path_says_how_it_computes(monkeypatch):
    cuda = torch.device("cuda")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    found = kernel_path("StyleGAN2", cuda)
    assert found["tf32"] == "off"
    assert found["backend"].endswith(", deterministic")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    assert kernel_path("StyleGAN1", cuda)["tf32"] == "on"
