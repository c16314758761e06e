"""A plan that is trained in seconds and yet learns something, and the call that makes a member of it."""

from pathlib import Path

from lib.learn.network.config import NetworkPlan, override
from lib.learn.network.crossfit import TrainedNetworks, fit_network
from lib.sound.mel.config import FrontEnd

TINY_PLAN = override(
    NetworkPlan(front_end=FrontEnd(n_fft=1024, hop_samples=1024, n_mels=32, fmin_hz=50.0, normalise="zscore")),
    width=8,
    hidden=16,
    dropout_features=0.0,
    dropout_hidden=0.0,
    batch_size=8,
    soundscape_share=0.5,
    roll_p=0.0,
    noise_p=0.0,
    frequency_mask_p=0.0,
    time_mask_p=0.0,
    epochs=2,
    steps_per_epoch=40,
    learning_rate=2e-2,
    schedule="one-cycle",
)


def fit(plan: NetworkPlan, name: str, prepared: Path, public: Path, folder: Path, **how) -> TrainedNetworks:
    """Train the plan, with everything that it leaves under the folder; the member lies in `members/<name>`."""
    given = {"cache_folder": folder / "cache", "seed": 1} | how
    return fit_network(plan, prepared, public, folder / "members" / name, **given)
