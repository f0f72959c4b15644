"""The words of VisualizationHook: its arguments, those of its entries, and the types of each."""

from collections.abc import Mapping
from types import MappingProxyType, NoneType
from typing import Any

Kinds = tuple[type, ...]
_LIST: Kinds = (list, tuple)

HOOK_KINDS: Mapping[str, Kinds] = MappingProxyType(
    {
        "interval": (int,),
        "vis_kwargs_list": (Mapping, *_LIST, NoneType),
        "fixed_input": (bool,),
        "n_samples": (int, NoneType),
        "n_row": (int, NoneType),
        "message_hub_vis_kwargs": (str, Mapping, *_LIST, NoneType),
        "save_at_test": (bool,),
        "max_save_at_test": (int, NoneType),
        "test_vis_keys": (str, *_LIST, NoneType),
        "show": (bool,),
        "wait_time": (float,),
        "sampler_kwargs_list": (Mapping, *_LIST, NoneType),
    }
)
"""Arguments of the hook and the types that each may have."""

PICKLE_KINDS: Mapping[str, Kinds] = MappingProxyType(
    {
        "output_dir": (str,),
        "data_name_list": _LIST,
        "interval": (int,),
        "before_run": (bool,),
        "after_run": (bool,),
        "filename_tmpl": (str,),
        "format": (str,),
    }
)
"""Arguments of PickleDataHook and the types that each may have."""

STYLE_KINDS: Mapping[str, Kinds] = MappingProxyType(
    {
        "name": (str,),
        "n_row": (int, NoneType),
        "vis_mode": (str, NoneType),
        "color_order": (str,),
        "target_mean": (float, *_LIST),
        "target_std": (float, *_LIST),
        "n_skip": (int,),
        "fps": (float,),
    }
)
"""Words on how images become a picture, of every entry."""

HUB_KINDS: Mapping[str, Kinds] = MappingProxyType({"key": (str,), **STYLE_KINDS})
"""Words of an entry of ``message_hub_vis_kwargs``."""

ENTRY_KINDS: Mapping[str, Kinds] = MappingProxyType(
    {
        "type": (str,),
        "n_samples": (int, NoneType),
        "num_samples": (int, NoneType),
        "num_batches": (int, NoneType),
        "fixed_input": (bool,),
        "sample_model": (str, NoneType),
        "forward_kwargs": (Mapping,),
        "target_keys": (str, *_LIST, NoneType),
        "draw_gt": (bool,),
        **STYLE_KINDS,
    }
)
"""Words of an entry of ``vis_kwargs_list``."""

VIS_KWARGS_MAPPING: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "GAN": {"type": "Noise"},
        "SinGAN": {"type": "Arguments", "num_batches": 1, "forward_kwargs": {"mode": "rand"}},
        "Translation": {"type": "Data"},
        "TranslationVal": {"type": "ValData"},
        "TranslationTest": {"type": "TestData"},
        "DDPMDenoising": {
            "type": "Arguments",
            "name": "ddpm_sample",
            "n_samples": 16,
            "n_row": 4,
            "vis_mode": "gif",
            "n_skip": 100,
            "forward_kwargs": {
                "forward_mode": "sampling",
                "sample_kwargs": {"save_intermedia": True},
            },
        },
    }
)
"""A model family's name, as configs write it, and the words that it stands for."""

SAMPLER_TYPES = ("Noise", "Arguments", "Data", "ValData", "TestData")


def full_type(name: str) -> str | None:
    """Return an alias or sampler as it is spelled here, whatever the case; None if there is none.

    The name is looked up, never evaluated.
    """
    known = {word.upper(): word for word in (*SAMPLER_TYPES, *VIS_KWARGS_MAPPING)}
    return known.get(name.upper())


def resolved(entry: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry's words, those of its alias where it is silent, and then the hook's.

    ``forward_kwargs`` are put together word by word, in the same order.
    """
    name = full_type(entry["type"]) or entry["type"]
    alias = VIS_KWARGS_MAPPING.get(name, {"type": name})
    own = {("n_samples" if k == "num_samples" else k): v for k, v in entry.items() if k != "type"}
    forward = {**alias.get("forward_kwargs", {}), **own.get("forward_kwargs", {})}
    return {"name": entry["type"], **defaults, **alias, **own, "forward_kwargs": forward}


def as_list(value: Any) -> list[Any]:
    """Return a list of what may be nothing, one word or mapping, or several."""
    if value is None:
        return []
    return [value] if isinstance(value, str | Mapping) else list(value)
