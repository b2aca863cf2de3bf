import math

import pytest
import torch

from medseg.losses.msformer import MSFormerLoss
from medseg.networks.msformer import MSFormerFeatures


def features(batch: int = 2) -> MSFormerFeatures:
    torch.manual_seed(3)
    return MSFormerFeatures(
        torch.randn(batch, 4, 3, 5),
        torch.randn(batch, 6, 6).softmax(-1),
        (torch.randn(batch, 7, 7), torch.randn(batch, 7, 7)),
    )


def test_parts_equal_pytorchs_losses_image_by_image():
    given = features()
    parts = MSFormerLoss.parts(given)
    for i in range(2):
        scores = given.scores[i : i + 1]
        entropy = torch.nn.CrossEntropyLoss()(scores, scores.argmax(1))
        inter = torch.nn.CosineEmbeddingLoss()(given.contexts[0][i], given.contexts[1][i], torch.tensor([1]))
        intra = torch.nn.L1Loss()(given.patch_attention[i], torch.eye(6))
        assert parts.cross_entropy[i].item() == pytest.approx(entropy.item(), rel=1e-5)
        assert parts.inter[i].item() == pytest.approx(inter.item(), rel=1e-5)
        assert parts.intra[i].item() == pytest.approx(intra.item(), rel=1e-5)


def test_reductions():
    each = MSFormerLoss(2.0, 1.2, reduction="none")(features())
    assert each.shape == (2,)
    assert MSFormerLoss(2.0, 1.2)(features()).item() == pytest.approx(each.mean().item())
    assert MSFormerLoss(2.0, 1.2, reduction="sum")(features()).item() == pytest.approx(each.sum().item())


def test_best_case_is_zero_and_weights_scale():
    scores = torch.zeros(1, 3, 2, 2)
    scores[:, 1] = 100.0
    context = torch.eye(4)[None]
    best = MSFormerFeatures(scores, torch.eye(5)[None], (context, 2 * context))
    assert MSFormerLoss()(best).item() == pytest.approx(0, abs=1e-6)
    opposite = best._replace(contexts=(context, -context))
    assert MSFormerLoss(inter_weight=1.5)(opposite).item() == pytest.approx(3.0, abs=1e-5)
    uniform = best._replace(scores=torch.zeros(1, 3, 2, 2))
    assert MSFormerLoss()(uniform).item() == pytest.approx(math.log(3), abs=1e-5)


def test_unknown_reduction():
    with pytest.raises(ValueError, match="best"):
        MSFormerLoss(reduction="best")
