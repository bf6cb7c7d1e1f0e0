"""How long tests wait for other processes."""

#: Longer than anything takes on a busy machine: what is not there then hangs.
SECONDS = 600.0
