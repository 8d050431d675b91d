"""Teach a recogniser to write down what was really said: prepare, train, evaluate (Whisper; PyTorch, never JAX)."""
