"""Strict loading of a part's weights, for the parity parts of both stages."""

from torch import Tensor, nn

from model_zoo.io.errors import BadInput

Tensors = dict[str, Tensor]
TABLES = ("latent_mapping.shape.pos_emb", "offset_perturbation")  # fixed, so a file may leave them out


def loaded(module: nn.Module, weights: Tensors | None) -> nn.Module:
    """The module with exactly these weights, fixed tables left as they are where the weights have none."""
    if weights is None:
        raise BadInput("this part needs --weights")
    tables = {k: v for k, v in module.state_dict().items() if k.endswith(TABLES)}
    try:
        module.load_state_dict({**tables, **weights}, strict=True)
    except RuntimeError as error:
        raise BadInput(f"weights do not fit the part: {str(error).splitlines()[1].strip()}") from error
    return module.eval()
