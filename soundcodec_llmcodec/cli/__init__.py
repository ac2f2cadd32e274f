"""The commands of `llmcodec`, a file per kind; `soundcodec_llmcodec.__main__` reads their arguments."""
