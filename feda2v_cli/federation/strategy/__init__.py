"""Strategies: how the nodes' adapters become the server's."""
