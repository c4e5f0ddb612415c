"""From files to packs: examples, readers, tokens, batches."""
