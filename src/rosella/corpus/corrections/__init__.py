"""What people say about clips, and what becomes of it: opened from what a machine found, cut into utterances again."""
