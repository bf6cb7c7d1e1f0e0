"""From a clip to its embedding: encoders, and the cache that keeps what they made."""
