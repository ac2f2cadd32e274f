"""Training a codec: data, losses, discriminators, one resumable state. Needs the `train` extra.

Nothing above this folder imports it.

`python -m soundcodec_llmcodec train --config compact --data FOLDER_OR_HUB_ID:SPLIT --out runs/mine`
"""
