"""Presets: the networks of 2026's entries as plans, and a small one that trains from scratch on a CPU.

Where a source gives none, the setting is the one that most of the others use. What a source trains on beside the
contest's own data (other recordings, earlier rounds' pseudo-labels) is not part of a preset.
"""

from typing import Any

from lib.core.errors import BadInput, did_you_mean
from lib.learn.network.config import FRONT_ENDS, NetworkPlan, override, parse_settings

_SMALL = override(
    NetworkPlan(front_end=FRONT_ENDS["small"]),
    backbone="plain",
    width=20,
    hidden=80,
    dropout_hidden=0.25,
    batch_size=32,
    soundscape_share=0.5,
    sampler="weighted",
    crop="energy",
    background_p=0.7,
    background_snr_min_db=-3.0,
    background_snr_max_db=15.0,
    noise_p=0.0,
    gain_p=1.0,
    gain_db=6.0,
    mixup_p=0.25,
    soundscape_mixup_p=0.25,
    mixup_beta=5.0,
    frequency_mask_bins=8,
    time_mask_frames=20,
    epochs=4,
    steps_per_epoch=50,
    learning_rate=2e-3,
    schedule="one-cycle",
    clip_norm=5.0,
    average="ema",
    ema_decay=0.99,
)

# S0: networks on 128 bands, fine-tuned on the labelled soundscapes with the asymmetric loss.
_S0 = override(
    NetworkPlan(front_end=FRONT_ENDS["mel128"]),
    head="gem",
    loss="asymmetric",
    batch_size=32,
    soundscape_share=0.5,
    soundscape_mixup_p=0.0,
    epochs=15,
    steps_per_epoch=0,
    learning_rate=5e-4,
    weight_decay=1e-2,
    weights="timm",
)

# S3: energy crops, its table of augmentations (the defaults), no mixup, layer-wise decay of the learning rate.
_S3 = override(
    NetworkPlan(front_end=FRONT_ENDS["mel128"]),
    backbone="tf_efficientnet_b0",
    head="gem",
    loss="asymmetric",
    crop="energy",
    soundscape_share=0.0,
    layer_decay=0.75,
    epochs=25,
    steps_per_epoch=0,
    learning_rate=1e-3,
    weights="timm",
)

# What the public SED (Tucker Arrants) and the winners after it keep: sound mixed with sound, hard union of labels.
_SED = override(
    NetworkPlan(),
    head="sed",
    soundscape_share=0.1,
    least_per_class=20,
    mixup_p=0.5,
    soundscape_mixup_p=0.5,
    background_p=0.0,
    gain_p=0.5,
    gain_db=6.0,
    noise_p=0.5,
    noise_snr_min_db=10.0,
    frequency_mask_bins=10,
    time_mask_frames=10,
    frequency_masks=1,
    time_masks=2,
    epochs=25,
    steps_per_epoch=0,
    learning_rate=5e-4,
    weight_decay=1e-4,
    weights="timm",
)

_PUBLIC = override(_SED, front_end=FRONT_ENDS["mel256"], backbone="tf_efficientnet_b0")

PRESETS = {
    "small_sed": _SMALL,
    "small_student": override(
        _SMALL, width=16, hidden=64, steps_per_epoch=20, pseudo_ratio=1.0, gate="percentile", serve="one"
    ),
    "s0_b3": override(_S0, backbone="tf_efficientnet_b3"),
    "s0_b3_refined": override(_S0, backbone="tf_efficientnet_b3", pseudo_ratio=1.0, learning_rate=2e-4),
    # S0's seven to one, with the divergence and temperature that the forum named (it scored less than its teachers)
    "s0_student": override(
        _S0, backbone="tf_efficientnet_b3", pseudo_ratio=1.0, pseudo_loss="kld", temperature=2.0, serve="one"
    ),
    "s0_convnext_small": override(_S0, backbone="convnext_small", learning_rate=2e-4),
    "s3": _S3,
    "s4_pcen_convnext": override(_S0, front_end=FRONT_ENDS["pcen128"], backbone="convnext_tiny", learning_rate=2e-4),
    "public_sed": _PUBLIC,
    "public_sed_distilled": override(_PUBLIC, embedder="perch_v2.onnx", distil_size=1536, stop_gradient=True),
    "second_v2s": override(
        _SED,
        front_end=FRONT_ENDS["mel128"],
        backbone="tf_efficientnetv2_s",
        loss="soft_auc",
        bce_share=0.25,
        filter_p=0.5,
        average="swa",
    ),
    "ninth_v2s": override(
        _SED,
        front_end=FRONT_ENDS["mel128 minmax"],
        backbone="tf_efficientnetv2_s",
        seconds=10,
        interaction=128,
        average="ema",
        ema_decay=0.999,
    ),
}


def find_preset(name: str) -> NetworkPlan:
    """The plan of that name."""
    if name not in PRESETS:
        raise BadInput(
            "no such preset", expected=f"one of {', '.join(PRESETS)}", got=name, do=did_you_mean(name, PRESETS)
        )
    return PRESETS[name]


def plan_network(preset: str | None, overrides: str = "", **settings: Any) -> NetworkPlan:
    """The plan of a preset (None: the plainest) with these settings, and those that the text `overrides` lists."""
    further = parse_settings(overrides)
    if double := sorted(settings.keys() & further.keys()):
        raise BadInput(
            f"overrides set {double[0]}, which is a parameter of its own",
            expected="other settings",
            got=overrides,
            do=f"set {double[0]}={further[double[0]]} by itself",
        )
    return override(find_preset(preset) if preset else NetworkPlan(), **settings, **further)
