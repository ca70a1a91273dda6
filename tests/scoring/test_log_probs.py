import torch

from beamwise.scoring.log_probs import token_log_probs, token_logits


def test_token_log_probs_are_log_softmax_in_value_and_gradient():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    columns = torch.tensor([[[0, 1], [0, 0]], [[2, 1], [2, 2]]])  # repeated pairs on purpose
    tokens = torch.tensor([[[4, 0], [4, 4]], [[1, 2], [3, 3]]])
    weights = torch.randn(2, 2, 2, generator=generator, dtype=torch.float64)
    rows = torch.arange(2)[:, None, None]
    expected = logits.log_softmax(-1)[rows, columns, tokens]
    places = columns + 3 * rows
    ours = token_log_probs(logits.flatten(0, 1), places, tokens)
    torch.testing.assert_close(ours, expected)
    (gradient,) = torch.autograd.grad((ours * weights).sum(), logits)
    (wanted,) = torch.autograd.grad((expected * weights).sum(), logits)
    torch.testing.assert_close(gradient, wanted)


def test_without_gradient_the_values_are_the_same():
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    places, tokens = torch.tensor([[0, 3], [3, 1]]), torch.tensor([[5, 0], [0, 2]])
    expected = logits.log_softmax(-1)[places, tokens]
    torch.testing.assert_close(token_log_probs(logits, places, tokens), expected)
    with torch.no_grad():
        found = token_log_probs(logits.requires_grad_(), places, tokens)
    torch.testing.assert_close(found, expected)


def test_token_logits_are_those_of_the_pairs_in_value_and_gradient():
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(4, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    places, tokens = torch.tensor([0, 3, 3, 1]), torch.tensor([5, 0, 4, 2])
    weights = torch.randn(4, generator=generator, dtype=torch.float64)
    ours, expected = token_logits(logits, places, tokens), logits[places, tokens]
    torch.testing.assert_close(ours, expected)
    (gradient,) = torch.autograd.grad((ours * weights).sum(), logits)
    (wanted,) = torch.autograd.grad((expected * weights).sum(), logits)
    torch.testing.assert_close(gradient, wanted)
