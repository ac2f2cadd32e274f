"""The commands of `llmcodec`: `command_tree` lists them, each with where its options are and what runs it."""
