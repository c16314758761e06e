"""What the optimizer treats differently: depth scales the learning rate, and only matrices and kernels decay."""

from torch import nn

from lib.core.errors import BadInput
from lib.models.network.torch_companions import load_timm


def parameter_groups(network: nn.Module, weight_decay: float, layer_decay: float) -> list[dict]:
    """Groups for an optimizer, from shallow to deep, each with its `weight_decay` and its `share` of the rate."""
    depths = layer_depths(network) if layer_decay != 1 else {}
    deepest = max(depths.values(), default=0)
    groups: dict[tuple[int, bool], dict] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            depth, decays = depths.get(name, 0), parameter.ndim > 1  # vectors are biases, norms and gains
            group = {
                "params": [],
                "weight_decay": weight_decay if decays else 0.0,
                "share": layer_decay ** (deepest - depth),
            }
            groups.setdefault((depth, decays), group)["params"].append(parameter)
    return [groups[key] for key in sorted(groups)]


def layer_depths(network: nn.Module) -> dict[str, int]:
    """The depth of each parameter by name, 0 nearest to the picture; what is outside the backbone is deepest.

    A network of timm says itself what its layers are; in others they are the children of the first Sequential.
    """
    name, backbone = _backbone(network)
    prefix = f"{name}." if name else ""
    if hasattr(backbone, "group_matcher"):
        layers = load_timm().models.group_parameters(backbone, backbone.group_matcher(coarse=False), reverse=True)
    else:
        children = [child for child, _module in backbone.named_children()]
        layers = {of: children.index(of.split(".")[0]) for of, _parameter in backbone.named_parameters()}
    above = max(layers.values()) + 1
    return {of: layers.get(of.removeprefix(prefix), above) for of, _parameter in network.named_parameters()}


def _backbone(network: nn.Module) -> tuple[str, nn.Module]:
    """The first module, with its name, that comes in layers."""
    for name, module in network.named_modules():
        if hasattr(module, "group_matcher") or isinstance(module, nn.Sequential):
            return name, module
    raise BadInput(
        "layer_decay needs a network in layers",
        expected="a backbone of timm, or a Sequential",
        got=type(network).__name__,
        do="set layer_decay to 1",
    )
