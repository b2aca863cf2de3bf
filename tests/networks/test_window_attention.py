import torch

from medseg.networks.encoders.simvit import WindowAttention


def test_each_token_attends_to_its_window_with_zeros_beyond_the_border() -> None:
    height, width, channels, heads = 4, 5, 6, 2
    attention = WindowAttention(channels, heads)
    x = torch.randn(1, height * width, channels)
    with torch.inference_mode():
        got = attention(x, height, width)
        q = attention.q(x)[0].view(height, width, heads, -1)
        k, v = (part[0].view(height, width, heads, -1) for part in attention.kv(x).chunk(2, dim=2))
        expected = torch.zeros(height, width, heads, channels // heads)
        for row in range(height):
            for column in range(width):
                near = [(row + dy, column + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
                inside = [0 <= r < height and 0 <= c < width for r, c in near]
                for head in range(heads):
                    zero = torch.zeros(channels // heads)
                    keys = torch.stack([k[r, c, head] if ok else zero for (r, c), ok in zip(near, inside, strict=True)])
                    values = torch.stack(
                        [v[r, c, head] if ok else zero for (r, c), ok in zip(near, inside, strict=True)]
                    )
                    weights = (keys @ q[row, column, head] / (channels // heads) ** 0.5).softmax(0)
                    expected[row, column, head] = weights @ values
        expected = attention.proj(expected.view(1, height * width, channels))
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)
