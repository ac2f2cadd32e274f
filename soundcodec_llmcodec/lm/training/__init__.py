"""Training language models over a codec's tokens: from scratch or from any causal LM. Needs the extras `lm` and
`train`.

`python -m soundcodec_llmcodec.lm.training --tokens DIR:train --validation DIR:validation --config small --out runs/lm`
"""
