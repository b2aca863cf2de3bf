"""Building blocks that the encoders and decoders share; each stands here once."""
