"""Services that draw the curves of runs. They listen to a run's events, one module each."""
