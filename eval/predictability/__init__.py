"""How well tokens are predicted: what language models of several orders need for a codec's tokens, in bits."""
