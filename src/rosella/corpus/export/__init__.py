"""From catalogue and cached codes to what training reads: which utterances, how often and how much, into which shards."""
